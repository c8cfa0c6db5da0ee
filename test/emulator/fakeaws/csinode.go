package fakeaws

import (
	"context"
	"fmt"

	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const ebsDriver = "ebs.csi.aws.com"

// csiNode is kubelet's report of the EBS driver on a Node, under the Node's name.
func csiNode(node, instanceID string, volumeLimit int32) *storagev1.CSINode {
	return &storagev1.CSINode{
		ObjectMeta: metav1.ObjectMeta{Name: node},
		Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{{
			Name: ebsDriver, NodeID: instanceID, TopologyKeys: []string{labelEBSZone},
			Allocatable: &storagev1.VolumeNodeResources{Count: &volumeLimit},
		}}},
	}
}

// createCSINode publishes the Node's EBS driver, if it runs one. It comes before the Node, because kubelet is not Ready before
// it, and no pod may see the Node without its limit. So no Node can own it, and it is deleted with the Node.
func (p *publisher) createCSINode(ctx context.Context, n *publishedNode) error {
	if n.volumeLimit == 0 {
		return nil
	}
	_, err := p.client.StorageV1().CSINodes().Create(ctx, csiNode(n.node.Name, n.origin.Instance, n.volumeLimit), metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create CSINode: %w", err)
	}
	return nil
}

func (p *publisher) deleteCSINode(ctx context.Context, n *publishedNode) error {
	if n.volumeLimit == 0 {
		return nil
	}
	if err := p.client.StorageV1().CSINodes().Delete(ctx, n.node.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete CSINode: %w", err)
	}
	return nil
}
