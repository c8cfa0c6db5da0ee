package controlplane

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/loopback"
)

func TestNothingListensBeyondTheLoopbackAddress(t *testing.T) {
	c := StartFor(t, Options{})
	for _, child := range c.processes.children {
		addresses := loopback.Listeners(t, child.cmd.Process.Pid)
		assert.NotEmptyf(t, addresses, "%s listens nowhere: does this test look in the right place?", child.command.name)
		for _, address := range addresses {
			assert.Truef(t, strings.HasPrefix(address, "0100007F:"), "%s listens on %s", child.command.name, address) // 127.0.0.1 on a little-endian machine
		}
	}
}
