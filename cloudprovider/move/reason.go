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
	Group    *group.Group  // the whole Auto Scaling group
	Pods     []*corev1.Pod // on the node, DaemonSets' pods included
}

// Why says why a node is to be replaced.
type Why struct {
	// Cause is for people: "launch template version 3, and new instances get 5".
	Cause string
	// Target names what the replacement would be, such as the launch template version. It is the same for all nodes of the group that are replaced
	// for one change of it. After a failure or for a first try, moves to one target wait for each other. It is "" where there is no change.
	Target string
	// Harsh means that no pod may keep the node: its wishes to be left alone do not count, and at the end disruption budgets neither.
	Harsh bool
}

// A Reason says which nodes are to be replaced. It makes no call and keeps its answers stable, because the machine asks in each loop.
type Reason interface {
	// Name is the reason in budgets, windows, metrics and annotations: one lower-case word.
	Name() string
	// Due reports whether the node is to be replaced now, and why.
	Due(n Node, now time.Time) (Why, bool)
}

// Names of the reasons, in the order in which they are served.
const (
	Repair    = "repair"
	Requested = "requested" // by nodemeta.RemovalRequested
	Rotation  = "rotation"
)
