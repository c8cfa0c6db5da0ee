package aws_test

import (
	"fmt"
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/test/awsworld"
)

func TestUnneededNodesUnderWayAreGivenBack(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil), awsworld.Group("least", "m5.large", 0, 0, 5, nil))
	for _, name := range w.IDs() {
		if err := w.AWS.Suspend(name, "Launch"); err != nil {
			t.Fatal(err)
		}
		if err := w.Grow(name, 2); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.AWS.SetLimits("least", 2, 5); err != nil {
		t.Fatal(err)
	}
	w = w.restartedWith(nil) // what is missing is taken over as ours, and was not asked for a moment ago
	w.GiveBack("least", 2)   // what the minimum size wants
	w.GiveBack("unknown", 2)
	w.GiveBack("a", 1)
	w.Eventually(func() string {
		if state, _ := w.AWS.Group("a"); state.Desired != 2 || w.Target("a") != 2 {
			return fmt.Sprintf("desired capacity is %d and target size %d, want 2 and 2", state.Desired, w.Target("a"))
		}
		return ""
	})
	if got := w.Target("least"); got != 2 {
		t.Errorf("the target of the group at its minimum is %d, want 2", got)
	}
}
