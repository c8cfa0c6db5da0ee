package command

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// Nodes for the pods of a node that AWS takes are launched in no replay, and the pods are in no report.
func TestReplaySaysNothingAboutPodsThatDidNotWait(t *testing.T) {
	recorded := &decision.Report{Launches: []decision.Launch{{}}}
	assert.Equal(t, "the same about the pods that waited.", differences(recorded, &decision.Report{}))
}
