package userdata

import (
	"cmp"
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// nodeConfig merges the NodeConfigs of one user data in their order, as nodeadm does: later values replace earlier ones, and
// kubelet's flags add up.
type nodeConfig struct {
	cluster      string
	flags        []string
	config       map[string]any
	expression   string // spec.kubelet.maxPodsExpression
	localStorage string
}

func (r *reader) nodeConfigs(text string) {
	for _, doc := range r.yamlDocuments(text, "NodeConfig") {
		if !strings.HasPrefix(textAt(doc, "apiVersion"), "node.eks.aws/") || textAt(doc, "kind") != "NodeConfig" {
			continue
		}
		switch {
		case r.conditions > 0 && len(r.branches) < maxNesting:
			n := r.nodeConfig.clone()
			n.add(at(doc, "spec"))
			r.branches = append(r.branches, n)
		case r.conditions == 0:
			r.nodeConfig = cmp.Or(r.nodeConfig, &nodeConfig{})
			r.nodeConfig.add(at(doc, "spec"))
			r.branches = nil
		}
	}
}

// clone returns a copy, an empty one for nil.
func (n *nodeConfig) clone() *nodeConfig {
	c := *cmp.Or(n, &nodeConfig{})
	c.flags, c.config = slices.Clone(c.flags), merge(nil, c.config)
	return &c
}

// add lays the spec of one NodeConfig over those before.
func (n *nodeConfig) add(spec any) {
	n.cluster = cmp.Or(textAt(spec, "cluster", "name"), n.cluster)
	n.expression = cmp.Or(textAt(spec, "kubelet", "maxPodsExpression"), n.expression)
	n.localStorage = cmp.Or(textAt(spec, "instance", "localStorage", "strategy"), n.localStorage)
	for _, flag := range listAt(spec, "kubelet", "flags") {
		if s, ok := flag.(string); ok {
			n.flags = append(n.flags, s)
		}
	}
	n.config = merge(n.config, mapAt(spec, "kubelet", "config"))
}

// nodeConfigFacts evaluates the NodeConfigs. NodeConfigs in branches count with the facts that all of them share.
func (r *reader) nodeConfigFacts() Facts {
	if len(r.branches) == 0 {
		return r.evaluate(r.nodeConfig)
	}
	f := r.evaluate(r.branches[0])
	for _, n := range r.branches[1:] {
		r.intersect(&f, r.evaluate(n), inAllBranches)
	}
	return f
}

func (r *reader) evaluate(n *nodeConfig) Facts {
	f := Facts{AMIFamily: nodetemplate.AL2023, Mirrored: strings.EqualFold(n.localStorage, "RAID10")}
	f.Form, f.InstanceStore = FormNodeConfig, f.Mirrored || strings.EqualFold(n.localStorage, "RAID0")
	if !hasUnresolved(n.cluster) {
		f.ClusterName = n.cluster
	}
	r.settingsOf(&f).apply(slices.Concat(n.flags, r.kubeletArgs), r.kubelet, n.config)
	f.PodsExpression = nodetemplate.PodsExpression(n.expression)
	if n.expression != "" && !(r.spend(expressionWork*len(n.expression)) && f.PodsExpression.Understood()) {
		r.problem("maxPodsExpression", n.expression, nodetemplate.ReasonUnresolved,
			"a whole number in CEL without macros, of default_enis, ips_per_eni, max_pods, vcpus and physical_memory_mib, or maxPods in spec.kubelet.config and no expression")
	}
	return f
}
