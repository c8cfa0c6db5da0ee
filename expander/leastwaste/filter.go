package leastwaste

import (
	"fmt"

	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/klog/v2"
)

// Filter keeps the options that leave the least idle.
type Filter struct {
	last map[string]fmt.Stringer // see Words
}

// Words returns the judgements of the options of the last BestOptions, by node group ID. The map is not changed any more.
func (f *Filter) Words() map[string]fmt.Stringer { return f.last }

// New returns a Filter, ready for the expander chain of the Cluster Autoscaler.
func New() *Filter { return &Filter{} }

// BestOptions keeps the given order. It leaves out an option whose group has no node template, and returns nil if none can be judged.
func (f *Filter) BestOptions(options []expander.Option, nodeInfos map[string]*framework.NodeInfo) []expander.Option {
	explanations, judged := explainAll(options, nodeInfos)
	f.last = make(map[string]fmt.Stringer, len(explanations))
	var best []expander.Option
	for i, e := range explanations {
		f.last[e.NodeGroup] = e
		klog.Background().V(4).Info("Judged a scale-up option", "explanation", e)
		if e.Verdict == Chosen {
			best = append(best, judged[i])
		}
	}
	return best
}

// explainAll returns the options that could be judged, and an explanation for each under the same index.
func explainAll(options []expander.Option, nodeInfos map[string]*framework.NodeInfo) ([]Explanation, []expander.Option) {
	var explanations []Explanation
	var judged []expander.Option
	requests := requestCache{}
	for _, option := range options {
		info := nodeInfos[option.NodeGroup.Id()]
		if info == nil || info.Node() == nil {
			klog.Background().V(2).Info("Left out a scale-up option without a node template", "nodeGroup", option.NodeGroup.Id())
			continue
		}
		explanations = append(explanations, explain(option, info, requests))
		judged = append(judged, option)
	}
	judge(explanations)
	return explanations, judged
}
