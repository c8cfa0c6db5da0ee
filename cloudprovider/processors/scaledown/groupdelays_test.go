package scaledown

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/scaledowncandidates"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
)

// The core registers removals from goroutines of its own while loops look for candidates. The race detector, or Go's maps, notice a missing lock.
func TestRemovalsEndBesideTheLoop(t *testing.T) {
	w := awsworld.NewStill(t, awsworld.Group("a", "m5.large", 0, 3, 5, nil), nil)
	nodes, group := w.Members("a", nil), w.Provider.NodeGroups()[0]
	delays := &GroupDelays{ScaleDownCandidatesDelayProcessor: scaledowncandidates.NewScaleDownCandidatesDelayProcessor()}
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
