package userdata

import (
	"cmp"
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// readNodeConfigs keeps the NodeConfigs of a text. nodeadm lays files below /etc/eks/nodeadm.d over the NodeConfigs of the user data.
func (r *reader) readNodeConfigs(text string, file bool) {
	for _, doc := range r.yamlDocuments(text, "NodeConfig") {
		if !strings.HasPrefix(at[string](doc, "apiVersion"), "node.eks.aws/") || at[string](doc, "kind") != "NodeConfig" {
			continue
		}
		switch spec := at[any](doc, "spec"); {
		case r.conditions > 0:
			if len(r.branches) < maxNesting {
				r.branches = append(r.branches, spec)
			}
		case file:
			r.dropIns = append(r.dropIns, spec)
		default:
			r.nodeConfigs = append(r.nodeConfigs, spec)
		}
	}
}

// nodeConfigFacts evaluates the NodeConfigs that are certain, without and with each one in a branch. Facts that all of these share count.
func (r *reader) nodeConfigFacts() Facts {
	certain := slices.Concat(r.nodeConfigs, r.dropIns)
	var sets [][]any
	if len(certain) > 0 {
		sets = append(sets, certain)
	}
	for _, spec := range r.branches {
		sets = append(sets, append(slices.Clip(certain), spec))
	}
	return shared(r, sets, r.evaluate)
}

// evaluate merges the NodeConfigs in their order, as nodeadm does: later values replace earlier ones, and kubelet's flags add up.
func (r *reader) evaluate(specs []any) Facts {
	var cluster, expression, localStorage string
	var flags []string
	var config map[string]any
	for _, spec := range specs {
		if !r.spend(wordWork) {
			break
		}
		cluster = cmp.Or(at[string](spec, "cluster", "name"), cluster)
		expression = cmp.Or(at[string](spec, "kubelet", "maxPodsExpression"), expression)
		localStorage = cmp.Or(at[string](spec, "instance", "localStorage", "strategy"), localStorage)
		for _, flag := range at[[]any](spec, "kubelet", "flags") {
			flags = append(flags, r.splitArgs(at[string](flag))...)
		}
		config = r.merge(config, at[object](spec, "kubelet", "config"))
	}
	f := Facts{ClusterName: cluster, Mirrored: strings.EqualFold(localStorage, "RAID10")}
	f.InstanceStore = f.Mirrored || strings.EqualFold(localStorage, "RAID0")
	r.settingsOf(&f).apply(slices.Concat(flags, r.kubeletArgs), r.kubelet, r.kubeletInBranch, config)
	f.PodsExpression = nodetemplate.PodsExpression(expression)
	if expression != "" && !(r.spend(expressionWork*len(expression)) && f.PodsExpression.Understood()) {
		r.problem("maxPodsExpression", expression, nodetemplate.ReasonUnresolved,
			"a whole number in CEL without macros, of default_enis, ips_per_eni, max_pods, vcpus and physical_memory_mib, or maxPods in spec.kubelet.config and no expression")
	}
	return f
}
