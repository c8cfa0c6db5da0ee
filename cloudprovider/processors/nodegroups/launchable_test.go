package nodegroups

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
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

func TestGroupsThatCannotGrowAreLeftOut(t *testing.T) {
	suspended := awsworld.Group("suspended", "m5.large", 0, 0, 5, nil)
	suspended.SuspendedProcesses = []string{"Launch"}
	w := awsworld.New(t, nil, suspended, awsworld.Group("unknown", "x9z.large", 0, 0, 5, nil), awsworld.Group("sound", "m5.large", 0, 0, 5, nil))
	infos := map[string]*framework.NodeInfo{}
	for _, ng := range w.NodeGroups() {
		if info, err := ng.TemplateNodeInfo(); err == nil {
			infos[ng.Id()] = info
		}
	}
	groups, _, err := (&Launchable{Provider: w.Provider}).Process(nil, w.NodeGroups(), infos, nil)
	if err != nil || len(groups) != 1 || groups[0].Id() != "sound" {
		t.Errorf("groups = %v, error %v, want the sound one alone", groups, err)
	}
}

func TestPausedGroupsAreLeftOut(t *testing.T) {
	tagged := func(value string) map[string]string { return map[string]string{group.TagPaused: value} }
	w := awsworld.New(t, nil, awsworld.Group("all", "m5.large", 0, 0, 5, tagged("true")), awsworld.Group("down", "m5.large", 0, 0, 5, tagged("scale-down")),
		awsworld.Group("misspelt", "m5.large", 0, 0, 5, tagged("scale up")), awsworld.Group("up", "m5.large", 0, 0, 5, tagged("scale-up")))
	launchable := &Launchable{Provider: w.Provider}
	groups, _, err := launchable.Process(nil, w.NodeGroups(), infos(w), nil)
	assert.Truef(t, err == nil && len(groups) == 1 && groups[0].Id() == "down",
		"groups = %v, error %v, want the one whose scale-down is paused", groups, err)
	for _, id := range []string{"all", "misspelt", "up"} {
		assert.Truef(t, launchable.reasons[id] == (why.Refusal{Kind: why.RefusedPaused}),
			"%s is left out because %v, want its tag", id, launchable.reasons[id])
	}
}

func TestGroupsWithoutFactsAreLeftOut(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("deleted", "m5.large", 0, 0, 5, nil), awsworld.Group("unread", "m5.large", 0, 0, 5, nil),
		awsworld.Group("placeholder", "m5.large", 0, 0, 5, nil), awsworld.Group("sound", "m5.large", 0, 0, 5, nil))
	all, infos := w.NodeGroups(), infos(w)
	delete(infos, "unread")
	nodemeta.Placeholder.Mark(infos["placeholder"].Node())
	require.NoError(t, w.AWS.DeleteGroup("deleted"))
	w.Reread()
	launchable := &Launchable{Provider: w.Provider}
	groups, _, err := launchable.Process(nil, all, infos, nil)
	assert.Truef(t, err == nil && len(groups) == 1 && groups[0].Id() == "sound",
		"groups = %v, error %v, want the sound one alone", groups, err)
	leftOut, _ := leftOut(launchable)
	assert.Len(t, leftOut, 3, "left out, want the three others")
}

func TestGroupWithoutItsDeviceIsLeftOut(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("gpu", "g4dn.xlarge", 0, 0, 5, nil))
	w.SetMissing("gpu", "nvidia.com/gpu", "gpu-0", time.Now().Add(time.Hour))
	pod := func(asked corev1.ResourceList) *corev1.Pod {
		return &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: asked}}}}}
	}
	gpu, cpu := pod(awsworld.Resources("nvidia.com/gpu", "1")), pod(awsworld.Resources("cpu", "1"))
	launchable := &Launchable{Provider: w.Provider}
	left := func(pods ...*corev1.Pod) bool {
		groups, _, err := launchable.Process(nil, w.NodeGroups(), infos(w), pods)
		require.NoError(t, err)
		return len(groups) == 0
	}
	assert.Truef(t, left(gpu) && !left(gpu, cpu), "left out for a pod with a GPU: %t, for others, too: %t", left(gpu), left(gpu, cpu))
	w.SetMissing("gpu", "", "", time.Time{})
	assert.False(t, left(gpu), "left out although a node shows its GPU")
}

// A pod that asks for no GPU waits, too. It can have a node of the group, and the pod with a GPU cannot.
func TestGroupWithoutItsDeviceTakesOtherPodsAlone(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("gpu", "g4dn.xlarge", 0, 0, 5, nil))
	w.SetMissing("gpu", "nvidia.com/gpu", "gpu-0", time.Now().Add(time.Hour))
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
		read  bool
		grow  bool
	}{{after: 0, grow: true}, {after: 3*time.Minute + time.Second, grow: true}, {after: time.Minute, grow: true}, {after: 6 * time.Minute}, {after: time.Minute, read: true, grow: true}} {
		now.Step(step.after)
		if step.read {
			w.Reread()
		}
		launchable := &Launchable{Provider: w.Provider}
		groups, _, err := launchable.Process(nil, w.NodeGroups(), infos, nil)
		if err != nil || len(groups) == 1 != step.grow {
			t.Errorf("after %s %d groups may grow, error %v, want growth allowed: %t", w.Cache.Age(), len(groups), err, step.grow)
		}
		if leftOut, reasons := leftOut(launchable); len(leftOut) == 1 == step.grow || (reasons["a"] == why.Refusal{Kind: why.RefusedUnread}) == step.grow {
			t.Errorf("after %s %d groups are left out by the reasons %q, want growth allowed: %t", w.Cache.Age(), len(leftOut), reasons, step.grow)
		}
	}
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
	able, _, err := (&Launchable{Provider: w.Provider}).Process(nil, w.NodeGroups(), infos, nil)
	require.NoError(t, err)
	for _, ng := range able {
		assert.True(t, ng.Id() != "one/"+awsworld.ZoneB, "a zone group may grow where nothing is offered")
	}
	assert.Equal(t, 6, len(able), "node groups may grow, want all but one of 7")
}

// leftOut are the groups that the Launchable adds to the result of a scale-up, and their reasons.
func leftOut(l *Launchable) ([]cloudprovider.NodeGroup, map[string]corestatus.Reasons) {
	s := corestatus.ScaleUpStatus{PodsRemainUnschedulable: []corestatus.NoScaleUpInfo{{}}}
	l.AddLeftOut(&s)
	return s.ConsideredNodeGroups, s.PodsRemainUnschedulable[0].SkippedNodeGroups
}

func TestGroupsAtASpendCapAreLeftOut(t *testing.T) {
	w := awsworld.NewAWS(t, nil, awsworld.Group("dear", "g4dn.xlarge", 0, 0, 5, nil), awsworld.Group("full", "g4dn.xlarge", 0, 0, 0, nil),
		awsworld.Group("cheap", "m5.large", 0, 0, 5, nil)).RestartedWith(func(_ *asg.Options, p *aws.Options) {
		p.SpendCaps = []decision.SpendCap{{Of: decision.WholeCluster, PerHour: 2.5}}
	})
	launchable := &Launchable{Provider: w.Provider}
	groups, _, err := launchable.Process(nil, w.NodeGroups(), infos(w), nil)
	assert.Truef(t, err == nil && len(groups) == 2 && groups[0].Id() == "cheap" && groups[1].Id() == "full",
		"groups = %v, error %v, want the one that can be paid, and the one that the core finds full", groups, err)
	if r, ours := launchable.reasons["dear"].(why.Refusal); !ours || r.Kind != why.RefusedSpendCap || r.Cap.Of != "cluster" || r.Reasons()[0] != "at a spend cap (cluster)" {
		t.Errorf("the dear one is left out because %v, want the cap", launchable.reasons["dear"])
	}
}
