package aws

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// follow sets nodesChanged when a node is created or deleted or gets another provider ID. No other change of a node changes registered.
func (p *Provider) follow(nodes coreinformers.NodeInformer) error {
	if nodes == nil {
		return nil
	}
	p.nodes = nodes.Lister()
	p.nodesChanged.Store(true)
	_, err := nodes.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { p.nodesChanged.Store(true) },
		DeleteFunc: func(any) { p.nodesChanged.Store(true) },
		UpdateFunc: func(before, now any) {
			if before.(*corev1.Node).Spec.ProviderID != now.(*corev1.Node).Spec.ProviderID {
				p.nodesChanged.Store(true)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("watch nodes: %w", err)
	}
	return nil
}

// registeredIDs returns the provider IDs of registered nodes by instance. The core may ask for instances before its first loop.
func (p *Provider) registeredIDs() map[string]string {
	if p.registered.Load() == nil {
		p.seeNodes()
	}
	if ids := p.registered.Load(); ids != nil {
		return *ids
	}
	return nil
}

// seeNodes brings registered up to date. Where several nodes have one instance, the first provider ID in the alphabet counts in every loop.
func (p *Provider) seeNodes() {
	p.changing.Lock()
	defer p.changing.Unlock()
	if !p.nodesChanged.Swap(false) {
		return
	}
	nodes, err := p.nodes.List(labels.Everything())
	if err != nil {
		p.nodesChanged.Store(true)
		klog.FromContext(p.ctx).Error(err, "Could not list the nodes, those that were registered before count")
		return
	}
	ids := make(map[string]string, len(nodes))
	for _, node := range nodes {
		if id, ok := instanceID(node.Spec.ProviderID); ok && (ids[id] == "" || node.Spec.ProviderID < ids[id]) {
			ids[id] = node.Spec.ProviderID
		}
	}
	p.registered.Store(&ids)
}
