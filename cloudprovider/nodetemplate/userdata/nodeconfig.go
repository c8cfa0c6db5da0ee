package userdata

import (
	"cmp"
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

func (r *reader) readNodeConfigs(text string) {
	for _, doc := range r.yamlDocuments(text, "NodeConfig") {
		if !strings.HasPrefix(textAt(doc, "apiVersion"), "node.eks.aws/") || textAt(doc, "kind") != "NodeConfig" {
			continue
		}
		switch spec := at(doc, "spec"); {
		case r.conditions > 0 && len(r.branches) < maxNesting:
			r.branches = append(r.branches, append(slices.Clip(r.nodeConfigs), spec))
		case r.conditions == 0:
			r.nodeConfigs, r.branches = append(r.nodeConfigs, spec), nil
		}
	}
}

// nodeConfigFacts evaluates the NodeConfigs. NodeConfigs in branches count with the facts that all of them share.
func (r *reader) nodeConfigFacts() Facts {
	if len(r.branches) == 0 {
		return r.evaluate(r.nodeConfigs)
	}
	return shared(r, r.branches, r.evaluate)
}

// evaluate merges the NodeConfigs in their order, as nodeadm does: later values replace earlier ones, and kubelet's flags add up.
func (r *reader) evaluate(specs []any) Facts {
	var cluster, expression, localStorage string
	var flags []string
	var config map[string]any
	for _, spec := range specs {
		cluster = cmp.Or(textAt(spec, "cluster", "name"), cluster)
		expression = cmp.Or(textAt(spec, "kubelet", "maxPodsExpression"), expression)
		localStorage = cmp.Or(textAt(spec, "instance", "localStorage", "strategy"), localStorage)
		for _, flag := range listAt(spec, "kubelet", "flags") {
			if s, ok := flag.(string); ok {
				flags = append(flags, r.splitArgs(s)...)
			}
		}
		config = merge(config, mapAt(spec, "kubelet", "config"))
	}
	f := Facts{AMIFamily: nodetemplate.AL2023, Mirrored: strings.EqualFold(localStorage, "RAID10")}
	f.Form, f.InstanceStore = FormNodeConfig, f.Mirrored || strings.EqualFold(localStorage, "RAID0")
	if !hasUnresolved(cluster) {
		f.ClusterName = cluster
	}
	r.settingsOf(&f).apply(slices.Concat(flags, r.kubeletArgs), r.kubelet, config)
	f.PodsExpression = nodetemplate.PodsExpression(expression)
	if expression != "" && !(r.spend(expressionWork*len(expression)) && f.PodsExpression.Understood()) {
		r.problem("maxPodsExpression", expression, nodetemplate.ReasonUnresolved,
			"a whole number in CEL without macros, of default_enis, ips_per_eni, max_pods, vcpus and physical_memory_mib, or maxPods in spec.kubelet.config and no expression")
	}
	return f
}
