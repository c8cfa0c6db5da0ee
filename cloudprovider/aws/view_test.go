package aws_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/stretchr/testify/require"
)

func TestGroupOutsideTheViewStaysOutside(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	require.NoError(t, w.AWS.AddGroup(awsworld.Group("young", "m5.large", 0, 1, 5, nil)))
	node := w.young("young")
	w.Adopt("young")
	_, err := w.HasInstance(node)
	assert.Equal(t, cloudprovider.ErrNotImplemented, err, "HasInstance of its node: the core knows no node group of it")
}

func TestTagsOfOneGroupLeaveOthersAlone(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("noisy", "m5.large", 0, 0, 5, nil), awsworld.Group("quiet", "g4dn.xlarge", 0, 1, 5, nil))
	w.NextLoop()
	before := w.templates()
	r := rand.New(rand.NewPCG(3, 4))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	for range 100 {
		key := template + pick("label/", "taint/", "resources/", "autoscaling-options/", "") +
			pick("cpu", "memory", "nvidia.com/gpu", "scaledownunneededtime", "topology.kubernetes.io/zone", "kubernetes.io/hostname", "-", "a b")
		w.setTag("noisy", key, pick("0", "-1", "1e999", "NaN", "a:NoSchedule", ":", "10m", "\x00", "", "ü"))
		w.Reread()
		require.Truef(t, w.templates()["quiet"] == before["quiet"] && len(w.NodeGroups()) == 2,
			"with %q the other group's template was built again, or a group is gone", key)
	}
	assert.Equal(t, []string{"noisy"}, w.rebuiltSince(before), "templates built again")
}
