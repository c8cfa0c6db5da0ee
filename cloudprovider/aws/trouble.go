package aws

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// Trouble tells whether instances of a node group have lately failed to launch, and in which way, or spot instances were taken back
// where it would launch; false where nothing of the kind is known, or the group is not one of ours.
func (p *Provider) Trouble(nodeGroup string) (string, bool) {
	g := p.view.Load().groups[nodeGroup]
	if g == nil {
		return "", false
	}
	if rest, known := p.cache.Trouble(g); known {
		return fmt.Sprintf("%s in pool %s", rest.Class, rest.Pool), true
	}
	if p.cache.WasInterrupted(g) {
		return "spot instances taken back", true
	}
	return "", false
}

// NodeGroupName is the name of the node group that a node is in, or that a node made from a template stands for; "" for none.
func (p *Provider) NodeGroupName(node *corev1.Node) string {
	if g := (groupFacts{p}).GroupOf(node); g != nil {
		return g.ID()
	}
	return ""
}

// Interrupted reports whether EC2 took back spot instances a moment ago where the node group would launch.
func (p *Provider) Interrupted(nodeGroup string) bool {
	g := p.view.Load().groups[nodeGroup]
	return g != nil && p.cache.WasInterrupted(g)
}
