package leastwaste

import (
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/klog/v2"
)

// Filter keeps the options that leave the least idle.
type Filter struct{}

// New returns a Filter, ready for the expander chain of the Cluster Autoscaler.
func New() *Filter { return &Filter{} }

// BestOptions returns the options that share the lowest score, in the order given. An option whose group has no node
// template cannot be scored and is left out; nil means that none could be.
func (f *Filter) BestOptions(options []expander.Option, nodeInfos map[string]*framework.NodeInfo) []expander.Option {
	explanations, scored := score(options, nodeInfos)
	if len(scored) == 0 {
		return nil
	}
	lowest := explanations[lowestScore(explanations)].Score
	var best []expander.Option
	for i, explanation := range explanations {
		if explanation.Score == lowest {
			best = append(best, scored[i])
		}
	}
	logChoice(explanations)
	return best
}

// Explain scores the options as BestOptions does, one Explanation per option that could be scored, in the order given.
func Explain(options []expander.Option, nodeInfos map[string]*framework.NodeInfo) []Explanation {
	explanations, _ := score(options, nodeInfos)
	return explanations
}

// score returns the options that could be scored, and an explanation for each under the same index.
func score(options []expander.Option, nodeInfos map[string]*framework.NodeInfo) ([]Explanation, []expander.Option) {
	var explanations []Explanation
	var scored []expander.Option
	requests := requestCache{}
	for _, option := range options {
		node := nodeOf(nodeInfos, option.NodeGroup.Id())
		if node == nil {
			klog.Background().V(2).Info("Left out a scale-up option without a node template", "nodeGroup", option.NodeGroup.Id())
			continue
		}
		explanations = append(explanations, explain(option, node, requests))
		scored = append(scored, option)
	}
	return explanations, scored
}

// lowestScore is the index of the first explanation with the lowest score. There must be at least one.
func lowestScore(explanations []Explanation) int {
	lowest := 0
	for i, explanation := range explanations {
		if explanation.Score < explanations[lowest].Score {
			lowest = i
		}
	}
	return lowest
}

// logChoice says what was chosen and by how much: each option on V(4), the winner with its runner-up on V(2).
func logChoice(explanations []Explanation) {
	logger := klog.Background()
	for _, e := range explanations {
		logger.V(4).Info("Scored a scale-up option", e.pairs()...)
	}
	if !logger.V(2).Enabled() {
		return
	}
	winner := lowestScore(explanations)
	pairs := append(explanations[winner].pairs(), "options", len(explanations))
	if others := without(explanations, winner); len(others) > 0 {
		second := others[lowestScore(others)]
		pairs = append(pairs, "runnerUp", second.NodeGroup, "runnerUpScore", second.Score)
	}
	logger.V(2).Info("Found the scale-up option with the least waste", pairs...)
}

// pairs are the explanation's fields for a structured log line.
func (e Explanation) pairs() []any {
	return []any{
		"nodeGroup", e.NodeGroup, "score", e.Score, "idleCPURatio", e.IdleCPURatio, "idleMemoryRatio", e.IdleMemoryRatio,
		"nodes", e.Nodes, "pods", e.Pods,
	}
}

// without copies the explanations but for one.
func without(explanations []Explanation, index int) []Explanation {
	rest := make([]Explanation, 0, len(explanations)-1)
	rest = append(rest, explanations[:index]...)
	return append(rest, explanations[index+1:]...)
}
