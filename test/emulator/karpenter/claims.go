package karpenter

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

var nodeClaims = schema.GroupVersionResource{Group: "karpenter.sh", Version: "v1", Resource: "nodeclaims"}

// A Claim is a NodeClaim: Karpenter's request for one instance.
type Claim struct {
	Pool         string
	InstanceType string    // empty until it is launched
	CapacityType string    // empty until it is launched
	Created      time.Time // when it was seen first
	Deleted      time.Time // when its deletion was first seen to be requested, or zero
	Gone         time.Time // when its instance was terminated, or zero
}

// Claims are all NodeClaims since the watch began, the deleted ones included. Safe for concurrent use.
type Claims struct {
	mu   sync.Mutex
	seen map[types.UID]*Claim
}

// watchClaims watches until ctx ends. It returns once the first list is in.
func watchClaims(ctx context.Context, config *rest.Config) (*Claims, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	c := &Claims{seen: map[types.UID]*Claim{}}
	informer := dynamicinformer.NewDynamicSharedInformerFactory(client, 0).ForResource(nodeClaims).Informer()
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: c.see, UpdateFunc: func(_, claim any) { c.see(claim) }, DeleteFunc: c.gone,
	}); err != nil {
		return nil, fmt.Errorf("watch NodeClaims: %w", err)
	}
	go informer.RunWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil, fmt.Errorf("watch NodeClaims: %w", context.Cause(ctx))
	}
	return c, nil
}

func (c *Claims) see(object any) {
	claim, ok := object.(*unstructured.Unstructured)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.seen[claim.GetUID()]
	if known == nil {
		known = &Claim{Pool: claim.GetLabels()["karpenter.sh/nodepool"], Created: time.Now()}
		c.seen[claim.GetUID()] = known
	}
	// A claim may have the labels before the launch. It has the ID from then on.
	if id, _, _ := unstructured.NestedString(claim.Object, "status", "providerID"); id != "" {
		known.InstanceType, known.CapacityType = claim.GetLabels()[corev1.LabelInstanceTypeStable], claim.GetLabels()[capacityType]
	}
	if claim.GetDeletionTimestamp() != nil && known.Deleted.IsZero() {
		known.Deleted = time.Now()
	}
}

func (c *Claims) gone(object any) {
	if lost, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = lost.Obj
	}
	claim, ok := object.(*unstructured.Unstructured)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.seen[claim.GetUID()]; known != nil {
		known.Gone = time.Now()
		if known.Deleted.IsZero() {
			known.Deleted = known.Gone
		}
	}
}

// Seen returns the claims in the order of their creation.
func (c *Claims) Seen() []Claim {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []Claim
	for _, claim := range c.seen {
		all = append(all, *claim)
	}
	slices.SortFunc(all, func(a, b Claim) int { return a.Created.Compare(b.Created) })
	return all
}
