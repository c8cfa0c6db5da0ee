package move

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
)

// Node is a node of one of our groups, with what runs on it. Everything in it is shared and must not be changed.
type Node struct {
	*corev1.Node
	Instance *group.Instance
	Group    *group.Group // the whole Auto Scaling group
	Leaving  bool         // it is drained and goes soon, or EC2 has been asked to reboot it
	Cordoned bool         // by somebody, or for a reboot, and for no other drain
	// Pods returns the pods on the node in a new list, DaemonSets' pods included.
	Pods func() []*corev1.Pod
}

type Why struct {
	// Cause is for people: "launch template version 3, and new instances get 5".
	Cause string `json:"cause"`
	// Target names what the replacement would be, such as the launch template version. It is the same for all nodes of the group that are replaced
	// for one change of it. After a failure or for a first try, moves to one target wait for each other. It is "" where there is no change.
	Target string `json:"target,omitempty"`
	// IgnoresWishes means that no pod keeps the node by its wish to be left alone. Disruption budgets and grace periods hold.
	IgnoresWishes bool `json:"ignoresWishes,omitempty"`
	// Ends means that AWS ends the node in a moment, without a drain. So it waits for no pods, and not because other moves have failed.
	Ends bool `json:"ends,omitempty"`
	// Reboot means that the instance is rebooted first.
	Reboot bool `json:"reboot,omitempty"`
	// Into is the only node group that may launch a node for the pods of a consolidation, "" for none.
	Into string `json:"into,omitempty"`
}

// A Reason says which nodes are to be replaced. It makes no call and keeps its answers stable, because the machine asks in each loop.
type Reason interface {
	// Name is the reason in budgets, windows, metrics and annotations: one lower-case word.
	Name() string
	// Due reports whether the node is to be replaced now, and why.
	Due(n Node, now time.Time) (Why, bool)
	// Judged reports whether a node that is not due is as it should be. It is false where that is not known now.
	Judged(n Node) bool
}

// Names of the reasons, in the order in which they are served.
const (
	Repair        = "repair"
	Schedule      = "schedule"
	Rotation      = "rotation"
	Consolidation = "consolidation"
)

var reasons = []string{Repair, Schedule, Rotation, Consolidation}
