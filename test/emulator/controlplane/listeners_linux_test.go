package controlplane

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNothingListensBeyondTheLoopbackAddress(t *testing.T) {
	c := StartFor(t, Options{})
	listeners := listenersByInode(t)
	for _, child := range c.processes.children {
		found := 0
		for _, inode := range socketInodes(t, child.cmd.Process.Pid) {
			address, ok := listeners[inode]
			if !ok {
				continue
			}
			found++
			if !strings.HasPrefix(address, "0100007F:") { // 127.0.0.1 as the kernel writes it on a little-endian machine
				t.Errorf("%s listens on %s", child.command.name, address)
			}
		}
		assert.Truef(t, found != 0, "%s listens nowhere: does this test look in the right place?", child.command.name)
	}
}

// listenersByInode returns the local address of every listening TCP socket, as the kernel writes it, by inode.
func listenersByInode(t *testing.T) map[string]string {
	const listening = "0A"
	found := map[string]string{}
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Log(err) // a system without IPv6 has no tcp6
			continue
		}
		for _, line := range strings.Split(string(content), "\n") {
			if fields := strings.Fields(line); len(fields) > 9 && fields[3] == listening {
				found[fields[9]] = fields[1]
			}
		}
	}
	return found
}

func socketInodes(t *testing.T, pid int) []string {
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	require.NoError(t, err)
	var inodes []string
	for _, link := range links {
		target, err := os.Readlink(link)
		if inode, ok := strings.CutPrefix(target, "socket:["); ok && err == nil {
			inodes = append(inodes, strings.TrimSuffix(inode, "]"))
		}
	}
	return inodes
}
