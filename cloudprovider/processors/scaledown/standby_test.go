package scaledown

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// AWS does not let an instance in standby be terminated. The core would drain its node, fail, and drain it again.
func TestInstanceInStandbyIsNoCandidate(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("a", "m5.large", 0, 2, 5, nil))
	state, _ := w.AWS.Group("a")
	standby, other := state.Instances[0].ID, state.Instances[1].ID
	require.NoError(t, w.AWS.Do(fakeaws.Deed{Kind: fakeaws.Standby, Group: "a", Instances: []string{standby}}))
	w.Eventually(func() string {
		w.Reread()
		if i, _ := w.Cache.Snapshot().Instance(standby); i == nil || i.Lifecycle != "Standby" {
			return "not in standby yet"
		}
		return ""
	})
	var all []*corev1.Node
	for _, i := range w.Cache.Snapshot().Group("a").Instances {
		all = append(all, awsworld.Node(i.ID, nodemeta.ProviderID(i.Zone, i.ID)))
	}
	candidates, err := NewFreshCandidates(w.Provider, nil, clock.RealClock{}, everyNode{}).GetScaleDownCandidates(noPods(t), all)
	if err != nil || len(candidates) != 1 || candidates[0].Name != other {
		t.Errorf("candidates are %v, error %v, want %s alone", candidates, err, other)
	}
}
