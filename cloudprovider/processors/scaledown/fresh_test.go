package scaledown

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodes"
	caerrors "k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// everyNode is a ScaleDownNodeProcessor that lets every node be removed.
type everyNode struct{ nodes.ScaleDownNodeProcessor }

func (everyNode) GetScaleDownCandidates(_ *cacontext.AutoscalingContext, all []*corev1.Node) ([]*corev1.Node, caerrors.AutoscalerError) {
	return all, nil
}

func TestOldReadingForbidsRemoval(t *testing.T) {
	now := clocktesting.NewFakeClock(time.Now())
	w := awsworld.NewStill(t, awsworld.Group("a", "m5.large", 0, 1, 5, nil), func(o *asg.Options, _ *aws.Options) { o.Clock = now })
	for _, step := range []struct {
		after  time.Duration
		read   bool
		remove bool
	}{{after: 0, remove: true}, {after: 3 * time.Minute, remove: true}, {after: time.Second}, {after: 7 * time.Minute}, {after: time.Minute, read: true, remove: true}} {
		now.Step(step.after)
		if step.read {
			w.Reread()
		}
		candidates, err := NewFreshCandidates(w.Provider, nil, clocktesting.NewFakePassiveClock(start), everyNode{}).GetScaleDownCandidates(noPods(t), []*corev1.Node{{}})
		if err != nil || len(candidates) == 1 != step.remove {
			t.Errorf("after %s %d nodes may be removed, error %v, want removal allowed: %t", w.Cache.Age(), len(candidates), err, step.remove)
		}
	}
}

func TestShiftedZoneHasNoCandidates(t *testing.T) {
	shifting := awsworld.Zoned(awsworld.Group("a", "m5.large", 0, 2, 5, nil), "ab")
	shifting.ZonalShift = true
	w := awsworld.NewAWS(t, nil, shifting)
	require.NoError(t, w.AWS.EditGroup("a", fakeaws.GroupEdit{ShiftedZones: &[]string{awsworld.ZoneB}}))
	w = w.RestartedWith(nil)
	var all []*corev1.Node
	for _, i := range w.Cache.Snapshot().Group("a").Instances {
		all = append(all, awsworld.Node(i.Zone, nodemeta.ProviderID(i.Zone, i.ID)))
	}
	w.Eventually(func() string {
		candidates, err := NewFreshCandidates(w.Provider, nil, clocktesting.NewFakePassiveClock(start), everyNode{}).GetScaleDownCandidates(noPods(t), all)
		if err != nil {
			return err.Error()
		}
		var zones []string
		for _, node := range candidates {
			zones = append(zones, node.Name)
		}
		return cmp.Diff([]string{awsworld.ZoneA}, zones)
	})
}
