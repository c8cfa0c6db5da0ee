package nodegroups

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/klog/v2"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/why"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// growing returns the IDs of groups that can grow for the pods, and what the Launchable adds about the others to the result of a scale-up.
func growing(w *awsworld.World, groups []cloudprovider.NodeGroup, infos map[string]*framework.NodeInfo,
	pods ...*corev1.Pod) (ids []string, others map[string]corestatus.Reasons) {
	w.T.Helper()
	launchable := &Launchable{Provider: w.Provider}
	able, _, err := launchable.Process(nil, groups, infos, pods)
	require.NoError(w.T, err)
	for _, ng := range able {
		ids = append(ids, ng.Id())
	}
	s := corestatus.ScaleUpStatus{PodsRemainUnschedulable: []corestatus.NoScaleUpInfo{{}}}
	launchable.AddLeftOut(&s)
	assert.Equal(w.T, len(groups)-len(ids), len(s.ConsideredNodeGroups), "groups that are left out")
	return ids, s.PodsRemainUnschedulable[0].SkippedNodeGroups
}

func TestGroupsThatCannotGrowAreLeftOut(t *testing.T) {
	tagged := func(name, paused string) fakeaws.AutoScalingGroup {
		return awsworld.Group(name, "m5.large", 0, 0, 5, map[string]string{group.TagPaused: paused})
	}
	suspended := awsworld.Group("suspended", "m5.large", 0, 0, 5, nil)
	suspended.SuspendedProcesses = []string{"Launch"}
	w := awsworld.New(t, nil, suspended, awsworld.Group("unknown", "x9z.large", 0, 0, 5, nil), tagged("paused", "true"), tagged("down", "scale-down"),
		tagged("misspelt", "scale up"), tagged("up", "scale-up"), awsworld.Group("deleted", "m5.large", 0, 0, 5, nil),
		awsworld.Group("unread", "m5.large", 0, 0, 5, nil), awsworld.Group("placeholder", "m5.large", 0, 0, 5, nil), awsworld.Group("sound", "m5.large", 0, 0, 5, nil))
	all, infos := w.NodeGroups(), map[string]*framework.NodeInfo{}
	for _, ng := range all {
		if info, err := ng.TemplateNodeInfo(); err == nil && ng.Id() != "unread" {
			infos[ng.Id()] = info
		}
	}
	nodemeta.Placeholder.Mark(infos["placeholder"].Node())
	require.NoError(t, w.AWS.DeleteGroup("deleted"))
	w.Reread()
	able, others := growing(w, all, infos)
	assert.Equal(t, []string{"down", "sound"}, able, "groups that can grow")
	paused, degraded := why.Refusal{Kind: why.RefusedPaused}, why.Refusal{Kind: why.RefusedDegraded}
	assert.Equal(t, map[string]corestatus.Reasons{"suspended": degraded, "unknown": degraded, "deleted": degraded, "unread": degraded, "placeholder": degraded,
		"paused": paused, "misspelt": paused, "up": paused}, others, "reasons of the others")
}

// A group that cannot launch for minutes is in each scale-up, several a loop.
func TestCoolDownIsLoggedOnce(t *testing.T) {
	w, a, b := awsworld.NewDivided(t, nil, awsworld.Divided("g", "m5.large", 0, 0, 9)), "g/"+awsworld.ZoneA, "g/"+awsworld.ZoneB
	w.AWS.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	defer klog.CaptureState().Restore()
	flags, logged := flag.NewFlagSet("", flag.PanicOnError), &bytes.Buffer{}
	klog.InitFlags(flags)
	require.NoError(t, errors.Join(flags.Set("logtostderr", "false"), flags.Set("v", "2")))
	klog.SetOutput(logged)
	launchable := &Launchable{Provider: w.Provider}
	for _, id := range []string{a, "", b, ""} {
		if id != "" {
			require.Error(t, w.Grow(id, 1), "launched where there is no capacity")
		}
		_, _, err := launchable.Process(nil, w.NodeGroups(), infos(w), nil)
		require.NoError(t, err)
	}
	klog.Flush()
	for _, id := range []string{a, b} {
		line := fmt.Sprintf("Passed over a node group that cannot launch now\" nodeGroup=%q", id)
		assert.Equalf(t, 1, strings.Count(logged.String(), line), "lines about %s in %s", id, logged)
	}
}

func TestGroupWithoutItsDeviceIsLeftOut(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("gpu", "g4dn.xlarge", 0, 0, 5, nil))
	w.SetMissing("gpu", []string{"nvidia.com/gpu", "vpc.amazonaws.com/efa"}, "gpu-0", time.Now().Add(time.Hour))
	pod := func(asked corev1.ResourceList) *corev1.Pod {
		return &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: asked}}}}}
	}
	gpu, cpu := pod(awsworld.Resources("nvidia.com/gpu", "1")), pod(awsworld.Resources("cpu", "1"))
	efa := pod(awsworld.Resources("vpc.amazonaws.com/efa", "1"))
	left := func(pods ...*corev1.Pod) bool {
		able, _ := growing(w, w.NodeGroups(), infos(w), pods...)
		return len(able) == 0
	}
	assert.Truef(t, left(gpu) && left(gpu, efa) && !left(gpu, cpu),
		"left out for a pod with a GPU: %t, and one with an adapter: %t, for others, too: %t", left(gpu), left(gpu, efa), left(gpu, cpu))
	claiming := &corev1.Pod{Spec: corev1.PodSpec{ResourceClaims: []corev1.PodResourceClaim{{Name: "gpu"}}}}
	slice := &resourceapi.ResourceSlice{Spec: resourceapi.ResourceSliceSpec{Driver: "gpu.nvidia.com"}}
	shared := infos(w)
	shared["gpu"].LocalResourceSlices = []*resourceapi.ResourceSlice{slice}
	for _, assumed := range []bool{false, true} {
		if assumed {
			nodemeta.Assumed.Mark(slice)
		}
		able, _ := growing(w, w.NodeGroups(), shared, gpu, claiming)
		assert.Equalf(t, assumed, len(able) == 0, "left out for a pod with a claim, too, while its devices are assumed: %t", assumed)
		_, next, err := (&Launchable{Provider: w.Provider}).Process(nil, w.NodeGroups(), shared, []*corev1.Pod{cpu})
		require.NoError(t, err)
		assert.Equalf(t, assumed, len(next["gpu"].LocalResourceSlices) == 0, "the next node offers none while they are assumed: %t", assumed)
	}
	w.SetMissing("gpu", nil, "", time.Time{})
	assert.False(t, left(gpu), "left out although a node shows its GPU")
}

// A pod that asks for no GPU waits, too. It can have a node of the group, and the pod with a GPU cannot.
func TestGroupWithoutItsDeviceTakesOtherPodsAlone(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("gpu", "g4dn.xlarge", 0, 0, 5, nil))
	w.SetMissing("gpu", []string{"aws.amazon.com/neuron", "nvidia.com/gpu"}, "gpu-0", time.Now().Add(time.Hour))
	full := infos(w)
	groups, able, err := (&Launchable{Provider: w.Provider}).Process(nil, w.NodeGroups(), full, []*corev1.Pod{{}})
	require.NoError(t, err)
	require.Len(t, groups, 1)
	gpus := func(infos map[string]*framework.NodeInfo) [3]int64 {
		s, node := infos["gpu"].GetAllocatable().GetScalarResources(), infos["gpu"].Node()
		allocatable, capacity := node.Status.Allocatable["nvidia.com/gpu"], node.Status.Capacity["nvidia.com/gpu"]
		return [3]int64{s["nvidia.com/gpu"], allocatable.Value(), capacity.Value()}
	}
	assert.Equal(t, [3]int64{0, 0, 1}, gpus(able), "GPUs that the scale-up sees: the scheduler's sum, allocatable, capacity")
	assert.Equal(t, [3]int64{1, 1, 1}, gpus(full), "GPUs that the rest of the loop sees")
}

func TestOldReadingForbidsGrowth(t *testing.T) {
	now := clocktesting.NewFakeClock(time.Now())
	w := awsworld.NewStill(t, awsworld.Group("a", "m5.large", 0, 1, 5, nil), func(o *asg.Options, _ *aws.Options) { o.Clock = now })
	infos := map[string]*framework.NodeInfo{"a": framework.NewNodeInfo(&corev1.Node{}, nil)}
	for _, step := range []struct {
		after time.Duration
		grow  bool
	}{{4 * time.Minute, true}, {7 * time.Minute, false}} {
		now.Step(step.after)
		able, others := growing(w, w.NodeGroups(), infos)
		assert.Truef(t, (len(able) == 1) == step.grow && (others["a"] == why.Refusal{Kind: why.RefusedUnread}) != step.grow,
			"after %s %v may grow, the others do not by %v, want growth allowed: %t", w.Cache.Age(), able, others, step.grow)
	}
	w.Reread()
	able, _ := growing(w, w.NodeGroups(), infos)
	assert.Len(t, able, 1, "groups that may grow after a new reading")
}

func TestZoneThatOffersNoTypeIsLeftOut(t *testing.T) {
	two := awsworld.Divided("two", "m5.large", 0, 0, 9)
	two.MixedInstancesPolicy = &fakeaws.MixedInstancesPolicy{LaunchTemplate: *two.LaunchTemplate,
		Overrides: []fakeaws.Override{{InstanceType: "m5.large"}, {InstanceType: "c5.large"}}}
	two.LaunchTemplate = nil
	w := awsworld.NewDivided(t, func(c *fakeaws.Config) {
		c.Offerings = map[string][]string{"m5.large": {awsworld.ZoneA, awsworld.ZoneC}, "c5.large": {awsworld.ZoneA, awsworld.ZoneB}}
	}, two, awsworld.Divided("one", "m5.large", 0, 0, 9), awsworld.Zoned(awsworld.Group("whole", "m5.large", 0, 0, 9, nil), "b"))
	infos := map[string]*framework.NodeInfo{}
	for _, ng := range w.NodeGroups() {
		infos[ng.Id()] = framework.NewNodeInfo(awsworld.Node("n", ""), nil)
	}
	w.Eventually(func() string {
		if !w.View().Group("one/" + awsworld.ZoneB).Blocked() {
			return "zone b still counts as offering m5.large"
		}
		return ""
	})
	able, _ := growing(w, w.NodeGroups(), infos)
	assert.Len(t, able, 6, "node groups may grow, want all but one of 7")
	assert.NotContains(t, able, "one/"+awsworld.ZoneB, "a zone group may grow where nothing is offered")
}

func TestGroupsAtASpendCapAreLeftOut(t *testing.T) {
	w := awsworld.NewAWS(t, nil, awsworld.Group("dear", "g4dn.xlarge", 0, 0, 5, nil), awsworld.Group("full", "g4dn.xlarge", 0, 0, 0, nil),
		awsworld.Group("cheap", "m5.large", 0, 0, 5, nil)).RestartedWith(func(_ *asg.Options, p *aws.Options) {
		p.SpendCaps = []decision.SpendCap{{Of: decision.WholeCluster, PerHour: 2.5}}
	})
	able, others := growing(w, w.NodeGroups(), infos(w))
	assert.Equal(t, []string{"cheap", "full"}, able, "the groups that can be paid, and those that the core finds full")
	assert.Equal(t, []string{"at a spend cap (cluster)"}, others["dear"].Reasons())
}
