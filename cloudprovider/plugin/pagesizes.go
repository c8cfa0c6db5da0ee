package plugin

import (
	"maps"
	"strings"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// platform names the kernel of a node, which decides which sizes of huge pages there are.
func platform(node *corev1.Node) string {
	return node.Labels[corev1.LabelOSStable] + "/" + node.Labels[corev1.LabelArchStable]
}

// pageSizes are the sizes of huge pages that real nodes show, by platform. A node shows each size, mostly with an amount of zero, and the
// core's comparator finds no node similar that lacks one. Refresh alone learns them.
type pageSizes struct {
	shown atomic.Pointer[map[string]corev1.ResourceList] // amounts of zero, replaced and never changed
}

func (p *pageSizes) learn(nodes []*corev1.Node) {
	shown := map[string]corev1.ResourceList{}
	for _, node := range nodes {
		for name := range node.Status.Capacity {
			if !strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix) {
				continue
			}
			of := platform(node)
			if shown[of] == nil {
				shown[of] = corev1.ResourceList{}
			}
			shown[of][name] = resource.Quantity{Format: resource.BinarySI}
		}
	}
	p.shown.Store(&shown)
}

// complete adds the sizes that a template of the caller's lacks.
func (p *pageSizes) complete(node *corev1.Node) {
	shown := p.shown.Load()
	if shown == nil || (*shown)[platform(node)] == nil {
		return
	}
	for _, list := range []*corev1.ResourceList{&node.Status.Capacity, &node.Status.Allocatable} {
		completed := maps.Clone((*shown)[platform(node)])
		maps.Copy(completed, *list)
		*list = completed
	}
}
