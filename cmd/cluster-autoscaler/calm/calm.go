// Package calm has the expander prefer node groups where EC2 has not taken spot instances back a moment ago.
//
// A group whose next instances would come from the very pools that were interrupted is passed over, for some minutes, if others
// help the same pods. Where it alone can help, it is taken all the same: EC2 may well have capacity for it.
package calm

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/klog/v2"
)

// Filter is an expander.Filter.
type Filter struct {
	// Interrupted reports whether EC2 took back instances where the node group would launch.
	Interrupted func(nodeGroup string) bool
}

// BestOptions leaves out the options of interrupted groups that the others can do without.
func (f Filter) BestOptions(options []expander.Option, _ map[string]*framework.NodeInfo) []expander.Option {
	var calm, troubled []expander.Option
	for _, o := range options {
		if f.Interrupted(o.NodeGroup.Id()) {
			troubled = append(troubled, o)
		} else {
			calm = append(calm, o)
		}
	}
	if len(troubled) == 0 || len(calm) == 0 {
		return options
	}
	for _, o := range troubled {
		if slices.ContainsFunc(o.Pods, func(p *corev1.Pod) bool { return !helped(p, calm) }) {
			return options
		}
	}
	for _, o := range troubled {
		klog.V(2).InfoS("Passed over a node group where spot instances were taken back a moment ago", "nodeGroup", o.NodeGroup.Id())
	}
	return calm
}

// helped reports whether one of the options has the pod.
func helped(pod *corev1.Pod, options []expander.Option) bool {
	return slices.ContainsFunc(options, func(o expander.Option) bool { return slices.Contains(o.Pods, pod) })
}
