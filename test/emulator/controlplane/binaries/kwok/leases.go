package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

const (
	// leaseIntervals is how many renewals a node's lease lasts, as with kubelet.
	leaseIntervals = 4
	// leaseWorkers bounds the concurrent writes of leases.
	leaseWorkers = 4
)

// renewLeases renews the lease of each selected node once in every interval until the context ends, so that the node lifecycle controller
// takes the nodes for alive. It returns when the first list of nodes is read.
//
// KWOK could do this itself. But then it plays pods only on nodes whose lease it has seen in its own cache, while it makes a
// node Ready without waiting for that. So it would skip a pod bound in between, which would stay Pending for ever.
func renewLeases(ctx context.Context, client kubernetes.Interface, holder string, selected labels.Selector, interval time.Duration) error {
	factory := informers.NewSharedInformerFactory(client, 0)
	nodes := factory.Core().V1().Nodes()
	due := make(chan *corev1.Node)
	enqueue := func(object any) {
		if node, ok := object.(*corev1.Node); ok && selected.Matches(labels.Set(node.Annotations)) {
			select {
			case due <- node:
			case <-ctx.Done():
			}
		}
	}
	if _, err := nodes.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: enqueue}); err != nil {
		return fmt.Errorf("watch nodes: %w", err)
	}
	for range leaseWorkers {
		go func() {
			for {
				select {
				case node := <-due:
					if err := renewLease(ctx, client, holder, node, interval); err != nil && ctx.Err() == nil {
						slog.Error("Could not renew a lease", "node", node.Name, "err", err)
					}
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	go func() {
		for ticks := time.Tick(interval); ; {
			select {
			case <-ticks:
			case <-ctx.Done():
				return
			}
			all, err := nodes.Lister().List(labels.Everything())
			if err != nil {
				slog.Error("Could not list nodes", "err", err)
			}
			for _, node := range all {
				enqueue(node)
			}
		}
	}()
	return nil
}

// renewLease writes the time of renewal into a node's lease, and creates a missing lease. The lease goes with its node.
func renewLease(ctx context.Context, client kubernetes.Interface, holder string, node *corev1.Node, interval time.Duration) error {
	now := metav1.NowMicro()
	seconds := max(1, int32(leaseIntervals*interval.Seconds()))
	spec := coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, RenewTime: &now}
	patch, err := json.Marshal(map[string]any{"spec": spec})
	if err != nil {
		return err
	}
	leases := client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	_, err = leases.Patch(ctx, node.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Name: node.Name,
			OwnerReferences: []metav1.OwnerReference{
				{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID},
			},
		},
		Spec: spec,
	}
	_, err = leases.Create(ctx, lease, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil // another worker was first
	}
	return err
}
