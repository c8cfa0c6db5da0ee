package aws_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/metrics"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/utilization"
	"k8s.io/component-base/metrics/legacyregistry"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestANewInstanceIsCountedFromTheRequestOn(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	require.NoError(t, w.Grow("a", 2))
	assert.Equal(t, 3, w.Target("a"), "target size right after the request")
	assert.Empty(t, cmp.Diff([]string{"running", "creating", "creating"}, w.states("a")), "instances right after the request (-want +got)")
	w.Eventually(func() string { return cmp.Diff([]string{"running", "running", "running"}, w.states("a")) })
}

func TestViewStaysTheSameDuringLoop(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	require.NoError(t, w.AWS.SetDesired("a", 4))
	require.NoError(t, w.Cache.Refresh(t.Context()))
	assert.Equal(t, 1, w.Target("a"), "target size changed before Refresh")
	w.NextLoop()
	assert.Equal(t, 4, w.Target("a"), "target size after Refresh")
}

func TestNodesBelongToTheGroupOfTheirInstance(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil), awsworld.Group("b/with-1", "m5.large", 0, 1, 5, nil))
	instance := func(id string) string { return w.Nodes(id)[0].Spec.ProviderID }
	for _, tt := range []struct{ name, providerID, want string }{
		{name: "member of a", providerID: instance("a"), want: "a"},
		{name: "member of b", providerID: instance("b/with-1"), want: "b/with-1"},
		{name: "placeholder", providerID: "aws:///cn-northwest-1a/i-placeholder-a-3", want: "a"},
		{name: "placeholder of a group with dashes and slashes", providerID: "aws:///cn-northwest-1a/i-placeholder-b/with-1-12", want: "b/with-1"},
		{name: "placeholder of an unknown group", providerID: "aws:///cn-northwest-1a/i-placeholder-c-1"},
		{name: "unknown instance", providerID: "aws:///cn-northwest-1a/i-0123456789abcdef0"},
		{name: "Fargate", providerID: "aws:///cn-northwest-1a/0123abc/fargate-ip-10-0-0-1.cn-northwest-1.compute.internal"},
		{name: "hybrid node", providerID: "eks-hybrid:///cn-northwest-1/cluster/mi-0123"},
		{name: "no provider ID", providerID: ""},
		{name: "garbage", providerID: "aws:///../../etc"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, w.owner(awsworld.Node("n", tt.providerID)), "belongs to")
		})
	}
}

var registerCoresMetrics = sync.OnceFunc(func() { metrics.RegisterAll(true) })

func TestTheCoresMetricsOfAGroupThatIsGone(t *testing.T) {
	registerCoresMetrics()
	w := newWorld(t, nil, awsworld.Group("gone", "m5.large", 0, 3, 5, nil))
	metrics.UpdateNodeGroupTargetSize(map[string]int{"gone": 3}) // as a loop does
	metrics.UpdateNodeGroupHealthStatus("gone", false)
	require.NoError(t, w.AWS.DeleteGroup("gone"))
	w.Reread()
	families, err := legacyregistry.DefaultGatherer.Gather()
	require.NoError(t, err)
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			if len(m.Label) == 1 && m.Label[0].GetValue() == "gone" {
				got[f.GetName()] = m.Gauge.GetValue()
			}
		}
	}
	assert.Empty(t, cmp.Diff(map[string]float64{"cluster_autoscaler_node_group_min_count": 0, "cluster_autoscaler_node_group_max_count": 0,
		"cluster_autoscaler_node_group_target_count": 0, "cluster_autoscaler_node_group_healthiness": 1}, got), "(-want +got)")
}

func TestHowTheCoreMeasuresALabelledNode(t *testing.T) {
	w := newWorld(t, nil)
	for _, tt := range []struct {
		name     string
		offered  corev1.ResourceList
		asked    corev1.ResourceList
		unready  bool
		resource corev1.ResourceName // that it is measured by
		want     float64
	}{
		{name: "whole GPUs", offered: awsworld.Resources("cpu", "4", "memory", "16Gi", "nvidia.com/gpu", "4"),
			asked: awsworld.Resources("cpu", "3", "nvidia.com/gpu", "2"), resource: "nvidia.com/gpu", want: 0.5},
		{name: "parts of GPUs", offered: awsworld.Resources("cpu", "4", "memory", "16Gi", "nvidia.com/mig-1g.10gb", "8", "nvidia.com/gpu", "0"),
			asked: awsworld.Resources("nvidia.com/mig-1g.10gb", "6"), resource: "nvidia.com/mig-1g.10gb", want: 0.75},
		{name: "parts of several sizes",
			offered: awsworld.Resources("cpu", "4", "memory", "16Gi", "nvidia.com/mig-1g.10gb", "4", "nvidia.com/mig-3g.40gb", "1"),
			asked:   awsworld.Resources("cpu", "3", "nvidia.com/mig-3g.40gb", "1"), resource: "cpu", want: 0.75},
		{name: "Neuron devices and their cores",
			offered: awsworld.Resources("cpu", "4", "memory", "16Gi", "aws.amazon.com/neuron", "1", "aws.amazon.com/neuroncore", "2"),
			asked:   awsworld.Resources("memory", "12Gi", "aws.amazon.com/neuroncore", "2"), resource: "memory", want: 0.75},
		{name: "nothing shown", offered: awsworld.Resources("cpu", "4", "memory", "16Gi"),
			asked: awsworld.Resources("cpu", "3"), resource: "cpu", want: 0.75},
		{name: "nothing shown while it is not Ready", offered: awsworld.Resources("cpu", "4", "memory", "16Gi"),
			asked: awsworld.Resources("cpu", "3"), unready: true, resource: "nvidia.com/gpu"},
	} {
		node := awsworld.M5Large("n", "", map[string]string{w.GPULabel(): "nvidia-tesla-t4"})
		node.Status.Allocatable = tt.offered
		if tt.unready {
			node.Status.Conditions = nil
		}
		pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: tt.asked}}}}}
		info := framework.NewNodeInfo(node, nil, framework.NewPodInfo(pod, nil))
		got, err := utilization.Calculate(info, false, false, true, w.GetNodeGpuConfig(node), time.Now())
		require.NoError(t, err)
		assert.Truef(t, got.ResourceName == tt.resource && got.Utilization == tt.want, "%s: %v of %s, want %v of %s",
			tt.name, got.Utilization, got.ResourceName, tt.want, tt.resource)
	}
}

func TestTerminatingInstanceIsGoneForTheCore(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 2, 5, nil))
	nodes := w.Nodes("a")
	require.NoError(t, w.NodeGroup("a").DeleteNodes(nodes[:1]))
	assert.Equal(t, 1, w.Target("a"), "target size")
	assert.Equal(t, [2]bool{false, true}, [2]bool{w.has(nodes[0]), w.has(nodes[1])}, "the instances are there")
	other := awsworld.Node("other", "aws:///cn-northwest-1a/i-0fffffffffffffff0")
	_, err := w.HasInstance(other)
	assert.Equal(t, cloudprovider.ErrNotImplemented, err, "HasInstance of a stranger")
	stopped := other.DeepCopy() // Kubernetes' cloud controller has seen so
	stopped.Spec.Taints = []corev1.Taint{{Key: "node.cloudprovider.kubernetes.io/shutdown", Effect: corev1.TaintEffectNoSchedule}}
	assert.False(t, w.has(stopped), "HasInstance of a stopped stranger, as in a warm pool")
	other.Annotations = map[string]string{"k8s.io/cluster-autoscaler-enabled": "false"}
	assert.False(t, w.has(other), "HasInstance of a node marked as not autoscaled")
	nodes[1].Annotations = other.Annotations
	assert.True(t, w.has(nodes[1]), "HasInstance of a group's own node with that mark")
}

// The target size of a weighted group counts AWS's replacement already.
func TestWarnedInstanceIsGoneForTheCoreWhereCapacityRebalancingReplacesIt(t *testing.T) {
	plain, rebalanced, weighted := awsworld.Group("plain", "m5.large", 0, 1, 5, nil), awsworld.Group("rebalanced", "m5.large", 0, 1, 5, nil), awsworld.Weighted("weighted", 0, 1)
	suspended := awsworld.Group("suspended", "m5.large", 0, 1, 5, nil)
	rebalanced.CapacityRebalance, weighted.CapacityRebalance, suspended.CapacityRebalance = true, true, true
	w := newWorld(t, nil, plain, rebalanced, weighted, suspended)
	require.NoError(t, w.AWS.Suspend("suspended", "Launch"))
	w.Reread()
	for name, want := range map[string]bool{"plain": true, "rebalanced": false, "weighted": true, "suspended": true} {
		node := w.Nodes(name)[0]
		assert.Truef(t, w.has(node), "%s before the warning", name)
		node.Spec.Taints = []corev1.Taint{{Key: interruption.Taint, Value: string(event.SpotInterruption), Effect: corev1.TaintEffectNoSchedule}}
		assert.Equalf(t, want, w.has(node), "%s", name)
		for _, kind := range []event.Kind{event.Reboot, event.ReservationEnd, event.Rebalance} {
			node.Spec.Taints[0].Value = string(kind)
			assert.Truef(t, w.has(node), "%s after %s", name, kind)
		}
	}
}

func TestRegisteredInstanceIsNotDeletedAsUnregistered(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	unregistered := withoutNode(w.Nodes("a")...)
	node := awsworld.Node("ip-10-0-0-1", unregistered[0].Spec.ProviderID)
	w.Cluster.Put(t, node)
	assert.ErrorContains(t, w.NodeGroup("a").DeleteNodes(unregistered), "ip-10-0-0-1", "error, want one that names the node")
	w.desires("a", 1)
	w.Cluster.Drop(t, node)
	assert.NoError(t, w.NodeGroup("a").DeleteNodes(unregistered), "an instance that is still unregistered could not be deleted")
}

func TestRegisteredNodeKeepsItsInstance(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	full := w.Nodes("a")[0].Spec.ProviderID
	id := full[strings.LastIndex(full, "/")+1:]
	for _, tt := range []struct {
		name, providerID string
		foreign          bool // the node is not the instance's
	}{
		{name: "in the form of EKS", providerID: full},
		{name: "without a zone", providerID: "aws:////" + id},
		{name: "in another zone", providerID: "aws:///cn-northwest-1b/" + id},
		{name: "another instance", providerID: "aws:///cn-northwest-1a/i-1", foreign: true},
		{name: "an instance whose ID begins alike", providerID: "aws:///cn-northwest-1a/" + id + "0", foreign: true},
		{name: "a hybrid node of the same name", providerID: "eks-hybrid:///cn-northwest-1/cluster/" + id, foreign: true},
		{name: "on Fargate", providerID: "aws:///cn-northwest-1a/0123abc/" + id, foreign: true},
		{name: "not known yet", providerID: "", foreign: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			registered := awsworld.Node("ip-10-0-0-1", tt.providerID)
			w.register(registered)
			left := w.unregistered("a", registered)
			assert.Equalf(t, tt.foreign, len(left) > 0, "the core takes %q for unregistered, want any: %t", left, tt.foreign)
			assert.Equal(t, tt.foreign, w.owner(registered) == "", "the node is in no group")
			// The core remembers instances for two minutes, so it may still know this one by another ID.
			stale := withoutNode(awsworld.Node(full, full))
			if tt.foreign {
				return
			}
			assert.ErrorContains(t, w.NodeGroup("a").DeleteNodes(stale), "ip-10-0-0-1", "error, want one that names the node")
			w.desires("a", 1)
		})
	}
}

func TestInstanceWithTwoNodesKeepsOneID(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	full := w.Nodes("a")[0].Spec.ProviderID
	other := "aws:////" + full[strings.LastIndex(full, "/")+1:]
	for range 5 {
		w.register(awsworld.Node("old", full), awsworld.Node("new", other))
		require.Equal(t, other, w.Nodes("a")[0].Spec.ProviderID, "the instance in every loop")
	}
}

// A process before this one has terminated an instance, and its taint is on the node.
func TestCoreLeavesItsTaintOnNodeThatEnds(t *testing.T) {
	w := newWorld(t, func(c *fakeaws.Config) { c.Delays.Terminate = ms(60_000) }, awsworld.Group("a", "m5.large", 0, 2, 5, nil))
	nodes := w.Nodes("a")
	require.NoError(t, w.NodeGroup("a").DeleteNodes(nodes[:1]))
	w = w.restartedWith(nil)
	for _, when := range []struct {
		name  string
		known []bool
	}{{"before the first loop", []bool{false, true}}, {"in a loop", []bool{true, true}}} {
		for at, node := range nodes {
			assert.Equalf(t, when.known[at], w.owner(node) != "", "%s: node %d is in a group", when.name, at)
		}
		w.NextLoop()
	}
}

// AWS ends the instances while the caches of a new process fill.
func TestCoreLeavesItsTaintOnNodeThatEndedMeanwhile(t *testing.T) {
	for _, takes := range []time.Duration{time.Hour, time.Millisecond} {
		w := newWorld(t, func(c *fakeaws.Config) { c.Delays.Terminate = fakeaws.Duration(takes) }, awsworld.Group("a", "m5.large", 0, 2, 5, nil))
		nodes := w.Nodes("a")
		require.NoError(t, w.AWS.SetDesired("a", 0))
		for deadline := time.Now().Add(time.Minute); w.IsMember(nodes[0]) || w.IsMember(nodes[1]); time.Sleep(10 * time.Millisecond) {
			require.True(t, time.Now().Before(deadline), "the instances stay for a minute")
			require.NoError(t, w.Cache.Refresh(t.Context()))
		}
		for at, node := range nodes {
			assert.Emptyf(t, w.owner(node), "the end takes %v: node %d is in group", takes, at)
		}
	}
}

func TestTargetSizeIsLoweredByNegativeNumbersOnly(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	w.AWS.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	require.NoError(t, w.Grow("a", 2))
	for _, delta := range []int{0, 1} {
		assert.Errorf(t, w.NodeGroup("a").DecreaseTargetSize(delta), "DecreaseTargetSize(%d) gave no error", delta)
	}
	w.stopLaunching("a")
	w.waitWhile("one cannot be taken back, or is not", func() bool {
		return w.NodeGroup("a").DecreaseTargetSize(-1) != nil || w.Target("a") != 2
	})
}

func TestPlaceholderOfAnotherWriterIsNotDeleted(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	w.AWS.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	require.NoError(t, w.AWS.SetDesired("a", 2))
	w.Reread()
	assert.ErrorContains(t, w.NodeGroup("a").DeleteNodes(w.Nodes("a")[1:]), "not ours", "error, want that it is not ours to withdraw")
	w.desires("a", 2)
}

func TestLeavingInstanceStandsBesideItsPlaceholder(t *testing.T) {
	w := newWorld(t, func(c *fakeaws.Config) { c.Delays.Terminate = ms(60_000) }, awsworld.Group("a", "m5.large", 0, 2, 5, nil))
	w.AWS.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	first, _ := w.AWS.Group("a")
	require.NoError(t, w.AWS.Reclaim(first.Instances[0].ID))
	w.Reread()
	assert.Empty(t, cmp.Diff([]string{"deleting", "running", "creating"}, w.states("a")), "instances (-want +got)")
}

func TestGroupThatCannotLaunchAtomicallySaysSo(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	assert.Equal(t, cloudprovider.ErrNotImplemented, w.NodeGroup("a").AtomicIncreaseSize(1), "error, on which the core raises the size as usual")
	w.desires("a", 1)
}

func TestFailedLaunchIsShownAndWithdrawn(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	w.AWS.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	require.NoError(t, w.Grow("a", 2))
	const failed = "creating InsufficientInstanceCapacity"
	w.Eventually(func() string { return cmp.Diff([]string{"running", failed, failed}, w.states("a")) })
	w.stopLaunching("a")
	w.eventuallyDeletes("a", w.Nodes("a")[1:])
	w.desires("a", 1)
	assert.Equal(t, 1, w.Target("a"), "target size")
}

func TestWhatTheMinimumAsksForNeverShowsAFailure(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 0, 5, nil))
	w.AWS.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	require.NoError(t, w.AWS.SetLimits("a", 2, 5))
	require.NoError(t, w.Grow("a", 1))
	w.Eventually(func() string {
		return cmp.Diff([]string{"creating", "creating", "creating InsufficientInstanceCapacity"}, w.states("a"))
	})
	// The core may ask for a target size that cannot be lowered. An error would end its loop for every group. Nothing is taken back while AWS
	// tries a launch, and the core asks again.
	w.Eventually(func() string {
		require.NoError(t, w.NodeGroup("a").DecreaseTargetSize(-3), "DecreaseTargetSize below the minimum")
		state, _ := w.AWS.Group("a")
		return cmp.Diff(2, state.Desired)
	})
}

// The core takes a group's size for wrong while placeholders show an error, and after a while stands still over it, for all
// groups. So nothing may show one that cannot be taken back.
func TestNothingShowsAFailureThatCannotBeTakenBack(t *testing.T) {
	for _, tt := range []struct {
		name   string
		group  fakeaws.AutoScalingGroup
		refuse bool
	}{
		{name: "minimum in capacity units", group: awsworld.Weighted("a", 0, 0)},
		{name: "lowering is denied", group: awsworld.Group("a", "m5.large", 0, 0, 5, nil), refuse: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(c *fakeaws.Config) { c.Delays.Retry = ms(100) }, tt.group)
			w.AWS.AddShortage(fakeaws.Shortage{Group: "a"})
			require.NoError(t, w.Grow("a", 2))
			if tt.refuse {
				w.AWS.Deny("SetDesiredCapacity")
			} else {
				require.NoError(t, w.AWS.SetLimits("a", 2, 20))
			}
			w.Reread()
			failing := func() []*corev1.Node {
				var nodes []*corev1.Node
				for at, s := range w.states("a") {
					if strings.Contains(s, "InsufficientInstanceCapacity") {
						nodes = append(nodes, w.Nodes("a")[at])
					}
				}
				return nodes
			}
			if tt.refuse {
				w.waitWhile("no failure shown before the refusal", func() bool { return len(failing()) == 0 })
				w.stopLaunching("a")
				w.waitWhile("DeleteNodes does not report that lowering was denied", func() bool {
					err := w.NodeGroup("a").DeleteNodes(failing())
					return err == nil || !strings.Contains(err.Error(), "AccessDenied")
				})
			} else {
				w.waitWhile("AWS has not reported the failure", func() bool {
					return w.Cache.Snapshot().Group("a").Failure == nil && w.Target("a") > 0 && w.Cache.Snapshot().Group("a").Requested > 0
				})
			}
			w.NextLoop()
			assert.Emptyf(t, failing(), "placeholders show a failure that cannot be taken back: %v", w.states("a"))
			assert.NoError(t, w.NodeGroup("a").DecreaseTargetSize(-1), "DecreaseTargetSize")
		})
	}
}

func TestTheMinimumOfAWeightedGroupIsInNodes(t *testing.T) {
	w := newWorld(t, nil, awsworld.Weighted("full", 4, 4), awsworld.Weighted("spare", 2, 4), awsworld.Weighted("heavy", 0, 0))
	w.AWS.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	require.NoError(t, w.AWS.SetDesired("heavy", 4)) // by one m5.xlarge
	require.NoError(t, w.AWS.SetLimits("heavy", 4, 20))
	w.Reread()
	w.Eventually(func() string { return cmp.Diff(1, len(w.Nodes("heavy"))) })
	for id, want := range map[string][2]int{"full": {4, 4}, "spare": {2, 4}, "heavy": {1, 1}} {
		assert.Equalf(t, want, [2]int{w.NodeGroup(id).MinSize(), w.Target(id)}, "%s, its minimum and its target in nodes", id)
	}
	assert.NoError(t, w.NodeGroup("spare").DeleteNodes(w.Nodes("spare")[:2]), "nodes above the minimum could not be deleted")
}

func TestPlaceholderOfDeletedGroupLowersNoOther(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	w.AWS.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	require.NoError(t, w.Grow("a", 2))
	require.NoError(t, w.NodeGroup("a").DeleteNodes([]*corev1.Node{awsworld.Node("n", "aws:///cn-northwest-1a/i-placeholder-gone-1")}))
	w.desires("a", 3)
}

func TestNodeWithoutInstanceDoesNotBlockDeletions(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 2, 5, nil))
	vanished := awsworld.Node("vanished", "aws:///cn-northwest-1a/i-0123456789abcdef0")
	require.NoError(t, w.NodeGroup("a").DeleteNodes([]*corev1.Node{vanished, w.Nodes("a")[0]}))
	w.desires("a", 1)
}

func TestTheTemplateOfAGPUGroupAtZero(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("gpu", "g4dn.xlarge", 0, 0, 3, map[string]string{template + "label/nvidia.com/gpu": "true"}))
	info, err := w.NodeGroup("gpu").TemplateNodeInfo()
	require.NoError(t, err)
	gpus := info.Node().Status.Allocatable["nvidia.com/gpu"]
	assert.Truef(t, gpus.Value() == 1 && info.GetAllocatable().GetScalarResources()["nvidia.com/gpu"] == 1,
		"template has %s GPUs on the node and %d for the scheduler, want 1", gpus.String(), info.GetAllocatable().GetScalarResources()["nvidia.com/gpu"])
	want := map[string]string{"nvidia.com/gpu": "true", "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux",
		"node.kubernetes.io/instance-type": "g4dn.xlarge", "topology.kubernetes.io/region": "cn-northwest-1", "topology.kubernetes.io/zone": "cn-northwest-1a"}
	assert.Subset(t, info.Node().Labels, want, "labels")
}

func TestATemplateOfWindowsHasNoKubeProxy(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("windows", "m5.large", 0, 0, 3, map[string]string{template + "label/kubernetes.io/os": "windows"}),
		awsworld.Group("linux", "m5.large", 0, 0, 3, nil))
	for id, want := range map[string]int{"windows": 0, "linux": 1} {
		info, err := w.NodeGroup(id).TemplateNodeInfo()
		require.NoError(t, err)
		assert.Lenf(t, info.Pods(), want, "pods of a node of %s", id)
	}
}

func TestMalformedTagIsReportedOnceAndBlocksNothing(t *testing.T) {
	tag := template + "taint/dedicated"
	w := newWorld(t, nil, awsworld.Group("g4dn-spot", "g4dn.xlarge", 0, 0, 3, map[string]string{tag: "nvidia.com/gpu=true"}), awsworld.Group("basic", "m5.large", 0, 0, 3, nil))
	for range 3 {
		w.Reread()
	}
	w.wantEvent("g4dn-spot", tag, "nvidia.com/gpu=true", "<value>:<effect>", "for example")
	assert.Empty(t, w.differs(`
# HELP asg_autoscaler_node_group_problems What is wrong with a node group at the moment, by reason: malformed tags, a missing launch template, an unknown instance type.
# TYPE asg_autoscaler_node_group_problems gauge
asg_autoscaler_node_group_problems{node_group="g4dn-spot",reason="invalid-taint-form"} 1
`, "asg_autoscaler_node_group_problems"))
	assert.NoError(t, w.Grow("g4dn-spot", 1), "the group does not scale")
	w.setTag("g4dn-spot", tag, "nvidia:NoSchedule")
	w.Reread()
	w.wantProblems(nil)
}

func TestUnknownTypeBlocksItsGroupAlone(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("unknown", "x9z.large", 0, 0, 3, nil), awsworld.Group("known", "m5.large", 0, 0, 3, nil))
	w.AWS.Deny("DescribeInstanceTypes")
	for range 3 {
		w.NextLoop()
	}
	_, err := w.NodeGroup("unknown").TemplateNodeInfo()
	assert.Equal(t, cloudprovider.ErrNotImplemented, err, "TemplateNodeInfo of the unknown type, of which the core does not complain each loop")
	w.promised("known")
	w.wantEvent("x9z.large")
}

func TestTypeOutsideTheCatalogueIsLookedUp(t *testing.T) {
	w := newWorld(t, func(c *fakeaws.Config) {
		c.InstanceTypes = []fakeaws.InstanceType{{Name: "x9z.large", VCPU: 2, MemoryMiB: 8192}}
	}, awsworld.Group("new", "x9z.large", 0, 0, 3, nil), awsworld.Group("known", "m5.large", 0, 0, 3, nil))
	w.Eventually(func() string {
		info, err := w.NodeGroup("new").TemplateNodeInfo()
		if err != nil {
			return err.Error()
		}
		if cpu := info.Node().Status.Capacity.Cpu().Value(); cpu != 2 {
			return fmt.Sprintf("template has %d CPUs, want 2", cpu)
		}
		return ""
	})
	assert.Equal(t, 1, w.AWS.Calls()["DescribeInstanceTypes"], "calls for the type")
}

func TestTypeThatEC2DoesNotKnowIsLookedUpAgain(t *testing.T) {
	now := clocktesting.NewFakeClock(time.Now())
	w := newWorld(t, nil, awsworld.Group("unknown", "x9z.large", 0, 0, 3, nil)).
		restartedWith(func(_ *asg.Options, o *aws.Options) { o.Clock = now })
	w.AWS.ResetCalls()
	w.waitWhile("there are fewer than 3 calls", func() bool {
		now.Step(10 * time.Minute) // again, too, where an answer comes after a step: its ten minutes begin then
		w.NextLoop()
		return w.AWS.Calls()["DescribeInstanceTypes"] < 3
	})
}

func TestTagsSetTheGroupsOptions(t *testing.T) {
	options := template + "autoscaling-options/"
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 0, 3, map[string]string{
		options + "scaledownunneededtime": "30s", options + "scaledownutilizationthreshold": "0.7", options + "ignoredaemonsetsutilization": "true"}))
	defaults := config.NodeGroupAutoscalingOptions{ScaleDownUnneededTime: 10 * time.Minute, ScaleDownUnreadyTime: 20 * time.Minute, ScaleDownUtilizationThreshold: 0.5}
	got, err := w.NodeGroup("a").GetOptions(defaults)
	require.NoError(t, err)
	want := config.NodeGroupAutoscalingOptions{ScaleDownUnneededTime: 30 * time.Second, ScaleDownUnreadyTime: 20 * time.Minute,
		ScaleDownUtilizationThreshold: 0.7, IgnoreDaemonSetsUtilization: true}
	assert.Empty(t, cmp.Diff(want, *got), "options (-want +got)")
}

// Run under the race detector: the core's loop, its deletions and its instance cache at once.
func TestTheCoreMayAskFromManyGoroutines(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 4, 500, nil), awsworld.Group("b", "m5.large", 0, 0, 500, nil))
	var all sync.WaitGroup
	repeat := func(do func(i int)) {
		all.Go(func() {
			for i := range 30 {
				do(i)
			}
		})
	}
	repeat(func(int) { w.NextLoop() })
	repeat(func(int) { assert.NoError(t, w.Grow("b", 1)) })
	repeat(func(i int) {
		if nodes := w.Nodes("a"); i%10 == 0 && len(nodes) > 0 {
			assert.NoError(t, w.NodeGroup("a").DeleteNodes(nodes[:1]))
		}
	})
	repeat(func(int) {
		for _, ng := range w.NodeGroups() {
			_, _ = ng.TargetSize()
			for _, n := range w.Nodes(ng.Id()) {
				_, _ = w.NodeGroupForNode(n)
				_, _ = w.HasInstance(n)
			}
			_, _ = ng.TemplateNodeInfo()
		}
	})
	all.Wait()
	w.desires("b", 30)
}

func TestNodeWhoseInstanceRunsAsAnotherIsInNoGroup(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	id := w.Nodes("a")[0].Spec.ProviderID
	for _, tt := range []struct {
		former, now bool // are Ready
		want        [2]string
	}{
		{false, true, [2]string{"", "a"}},
		{false, false, [2]string{"a", "a"}}, // until one is
		{true, true, [2]string{"a", "a"}},   // until Kubernetes misses the former kubelet
	} {
		var got, bare [2]string
		nodes := []*corev1.Node{awsworld.Node("former", id), awsworld.Node("now", id)}
		for at, ready := range []bool{tt.former, tt.now} {
			if ready {
				nodes[at].Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
			}
		}
		before := w.owner(nodes[0])
		w.Cluster.Put(t, nodes...)
		assert.Equal(t, before, w.owner(nodes[0]), "group of the former within a loop")
		w.NextLoop()
		for at, n := range nodes {
			got[at], bare[at] = w.owner(n), w.owner(awsworld.Node(n.Name, id)) // as the core's gRPC provider sends it
		}
		assert.Equalf(t, tt.want, got, "groups of the nodes, of which the former is Ready: %t, and the other: %t", tt.former, tt.now)
		assert.Equal(t, tt.want, bare, "the same without conditions")
	}
}

// AWS launches nothing in it for its minimum size either.
func TestSuspendedGroupIsLeftAlone(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	assert.False(t, w.Cooling("a"), "left alone before")
	w.stopLaunching("a")
	w.Reread()
	assert.True(t, w.Cooling("a"), "left alone while Launch is suspended")
}
