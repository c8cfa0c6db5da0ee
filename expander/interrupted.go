package expander

import (
	coreexpander "k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/klog/v2"
)

// notInterrupted prefers node groups whose next instances would not come from a recently interrupted pool. It passes over the other groups
// while it prefers any. The next choice, in the same loop unless --asg-scale-ups-per-loop is 1, is for the pods that are left. A group that alone can help them is kept then,
// because EC2 may well have capacity for it.
type notInterrupted func(nodeGroup string) bool

func (n notInterrupted) BestOptions(options []coreexpander.Option, _ map[string]*framework.NodeInfo) []coreexpander.Option {
	var preferred, passed []coreexpander.Option
	for _, o := range options {
		if n(o.NodeGroup.Id()) {
			passed = append(passed, o)
		} else {
			preferred = append(preferred, o)
		}
	}
	if len(passed) == 0 || len(preferred) == 0 {
		return options
	}
	for _, o := range passed {
		klog.V(2).InfoS("Passed over a node group where spot instances were interrupted recently", "nodeGroup", o.NodeGroup.Id())
	}
	return preferred
}
