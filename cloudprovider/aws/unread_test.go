package aws_test

import (
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Discovery finds a group before anybody has read its launch template.
func TestGroupNotYetReadHasNoProblem(t *testing.T) {
	w := awsworld.NewStill(t, awsworld.Group("a", "m5.large", 0, 0, 5, nil), nil)
	require.NoError(t, w.AWS.AddGroup(awsworld.Group("new", "m5.large", 0, 0, 5, nil)))
	w.Reread()
	require.Truef(t, len(w.IDs()) == 2 && w.View().Group("new").LaunchSpec == nil,
		"groups %q, want the new one without its launch template", w.IDs())
	assert.Emptyf(t, w.Problems(), "problems, events %q", w.Events.All())
}
