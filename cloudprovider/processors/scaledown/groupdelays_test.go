package scaledown

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
)

// The core registers removals from goroutines of its own while loops look for candidates. The race detector, or Go's maps, notice a missing lock.
func TestRemovalsEndBesideTheLoop(t *testing.T) {
	w := awsworld.NewStill(t, awsworld.Group("a", "m5.large", 0, 3, 5, nil), nil)
	nodes, group := w.Members("a", nil), w.Provider.NodeGroups()[0]
	delays := NewGroupDelays(w.Provider)
	ctx := &cacontext.AutoscalingContext{CloudProvider: w.Provider, AutoscalingOptions: config.AutoscalingOptions{ScaleDownDelayAfterDelete: time.Hour}}
	var removals sync.WaitGroup
	for range 1000 {
		removals.Go(func() {
			delays.RegisterScaleDown(group, "gone", time.Now(), time.Time{})
			delays.RegisterFailedScaleDown(group, "budget", time.Now())
			delays.RegisterScaleUp(group, 1, time.Now())
		})
		_, err := delays.GetScaleDownCandidates(ctx, nodes)
		require.Truef(t, err == nil, "%v", err)
	}
	removals.Wait()
	found, err := delays.GetScaleDownCandidates(ctx, nodes)
	assert.Truef(t, err == nil && len(found) == 0, "candidates %v (%v), want none within the delay after a removal", found, err)
}

// The group grows as a whole, and is then divided into zone groups, which have IDs of their own.
func TestDelayOfADividedGroupGoesOn(t *testing.T) {
	for name, desired := range map[string]int{"grown": 1, "at rest": 0} {
		t.Run(name, func(t *testing.T) {
			g := awsworld.Divided("a", "m5.large", 0, 3, 9)
			delete(g.Tags, asg.TagZonal)
			w := awsworld.NewDivided(t, nil, g)
			delays := NewGroupDelays(w.Provider)
			if desired > 0 {
				delays.RegisterScaleUp(w.NodeGroup("a"), desired, time.Now())
			}
			yes := "true"
			require.NoError(t, w.AWS.SetTags("a", map[string]*string{asg.TagZonal: &yes}))
			w.Eventually(func() string {
				_ = w.Cache.Refresh(t.Context())
				return cmp.Diff(3, len(w.IDs()))
			})
			var nodes []*corev1.Node
			for _, id := range w.IDs() {
				nodes = append(nodes, w.Nodes(id)...)
			}
			ctx := &cacontext.AutoscalingContext{CloudProvider: w.Provider, AutoscalingOptions: config.AutoscalingOptions{ScaleDownDelayAfterAdd: time.Hour}}
			found, err := delays.GetScaleDownCandidates(ctx, nodes)
			require.Truef(t, err == nil, "%v", err)
			assert.Len(t, found, 3*(1-desired), "candidates")
		})
	}
}
