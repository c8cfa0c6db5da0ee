package nodeinfos

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/testsnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate/fromgroup"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
)

func newProvider(w *awsworld.World) *Provider {
	return New(w.Provider, NewZoneIDs(w.Provider), time.Hour, false)
}

// process returns the NodeInfos that infos predict while the cluster has the nodes and DaemonSets.
func process(w *awsworld.World, infos *Provider, daemonSets []*appsv1.DaemonSet, nodes ...*corev1.Node) map[string]*framework.NodeInfo {
	w.T.Helper()
	return processWith(w, infos, daemonSets, nil, nodes...)
}

// processWith is process while the nodes have the pods.
func processWith(w *awsworld.World, infos *Provider, daemonSets []*appsv1.DaemonSet, pods []*corev1.Pod,
	nodes ...*corev1.Node) map[string]*framework.NodeInfo {
	w.T.Helper()
	snapshot := testsnapshot.NewTestSnapshotOrDie(w.T)
	require.NoError(w.T, snapshot.SetClusterState(nodes, pods, nil, nil))
	var before []*corev1.Node
	for _, node := range nodes {
		before = append(before, node.DeepCopy())
	}
	all, err := infos.Process(&cacontext.AutoscalingContext{CloudProvider: w.Provider, ClusterSnapshot: snapshot}, nodes, daemonSets,
		taints.NewTaintConfig(config.AutoscalingOptions{}), time.Now())
	require.NoError(w.T, err)
	assert.Equal(w.T, before, nodes, "the live nodes after the loop")
	return all
}

// next returns the next node of the group in the next loop, while the cluster has those nodes.
func next(w *awsworld.World, infos *Provider, id string, live ...*corev1.Node) *corev1.Node {
	w.T.Helper()
	w.NextLoop()
	return process(w, infos, nil, live...)[id].Node()
}

// The core passes over a node that lacks its GPU, and serves the copy of an earlier one meanwhile.
func TestStartingNodeBringsNoOldCopyBack(t *testing.T) {
	w := awsworld.New(t, func(c *fakeaws.Config) {
		c.LaunchTemplates = append(c.LaunchTemplates, fakeaws.LaunchTemplate{Name: "workers", Versions: []fakeaws.LaunchTemplateVersion{
			{ImageID: "ami-0abc", InstanceType: "m5.large"}, {ImageID: "ami-0def", InstanceType: "m5.large"}}})
	}, awsworld.Group("a", "workers", 0, 1, 5, nil))
	infos := newProvider(w)
	copied := func(live ...*corev1.Node) string { return next(w, infos, "a", live...).Labels["kubernetes.io/seen"] }
	old := w.Members("a", map[string]string{"kubernetes.io/seen": "old"})
	w.Cluster.Put(t, old...)
	require.Equal(t, "old", copied(old...), "the next node is the copy of")
	w.Cluster.Drop(t, old...)
	w.Emptied("a")
	require.NoError(t, w.AWS.EditGroup("a", fakeaws.GroupEdit{LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "workers", Version: "2"}}))
	w.Reread()
	w.Eventually(func() string { return cmp.Diff("ami-0def", w.View().Group("a").LaunchSpec.ImageID) })
	require.Empty(t, copied(), "before the first new node the next one is the copy of")
	require.NoError(t, w.AWS.SetDesired("a", 1))
	w.Reread()
	w.Eventually(func() string { return cmp.Diff(1, len(w.View().Group("a").Instances)) })
	young := w.Members("a", map[string]string{"kubernetes.io/seen": "new"})
	young[0].CreationTimestamp = metav1.NewTime(time.Now().Add(time.Second))
	w.Cluster.Put(t, young...)
	assert.Empty(t, copied(), "while the new node is starting the next one is the copy of")
	assert.Equal(t, "new", copied(young...), "with the new node the next one is the copy of")
}

func TestNodeOfThePresentVersionIsTheModelForTheNext(t *testing.T) {
	labelled := func(label string) string {
		return "#!/bin/bash\n/etc/eks/bootstrap.sh prod --kubelet-extra-args '--node-labels=" + label + "'\n"
	}
	w := awsworld.New(t, func(c *fakeaws.Config) {
		c.LaunchTemplates = append(c.LaunchTemplates, fakeaws.LaunchTemplate{Name: "workers", Versions: []fakeaws.LaunchTemplateVersion{
			{ImageID: "ami-0abc", InstanceType: "m5.large", UserData: labelled("team=a")},
			{ImageID: "ami-0abc", InstanceType: "m5.large", UserData: labelled("team=b,disk=fast")}}})
	}, awsworld.Group("a", "workers", 0, 1, 5, nil))
	before := w.Members("a", map[string]string{"team": "a", "kubernetes.io/seen": "old"})
	w.Cluster.Put(t, before...)
	require.NoError(t, w.AWS.EditGroup("a", fakeaws.GroupEdit{LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "workers", Version: "2"}}))
	w.Reread()
	w.Eventually(func() string { return cmp.Diff("b", w.View().Template("a").Labels["team"]) })
	alone := next(w, newProvider(w), "a", before...).Labels
	assert.Equal(t, []string{"old", "b", "fast"}, []string{alone["kubernetes.io/seen"], alone["team"], alone["disk"]},
		"while there is an earlier node alone, the next one is the copy of, and of the team and with the disk")

	require.NoError(t, w.AWS.SetDesired("a", 2))
	w.Reread()
	w.Eventually(func() string { return cmp.Diff(2, len(w.View().Group("a").Instances)) })
	all := w.Members("a", map[string]string{"team": "b", "kubernetes.io/seen": "new"})
	for _, node := range all {
		if node.Spec.ProviderID == before[0].Spec.ProviderID {
			node.Labels = before[0].Labels
		}
	}
	w.Cluster.Put(t, all...)
	for range 2 {
		slices.Reverse(all) // the core's list has no order
		got := next(w, newProvider(w), "a", all...).Labels
		assert.Equal(t, "new", got["kubernetes.io/seen"], "with nodes of both versions the next one is the copy of")
	}
}

// An old node may stay for as long as its pods run.
func TestLiveNodeOfAFormerTypeIsNoModelForTheNext(t *testing.T) {
	for _, tt := range []struct{ before, now string }{{"g4dn.12xlarge", "g4dn.xlarge"}, {"g4dn.xlarge", "g4dn.12xlarge"}} {
		t.Run(tt.now, func(t *testing.T) {
			w := awsworld.New(t, func(c *fakeaws.Config) {
				c.LaunchTemplates = append(c.LaunchTemplates, fakeaws.LaunchTemplate{Name: "workers", Versions: []fakeaws.LaunchTemplateVersion{
					{ImageID: "ami-0abc", InstanceType: tt.before}, {ImageID: "ami-0abc", InstanceType: tt.now}}})
			}, awsworld.Group("a", "workers", 0, 1, 5, nil))
			w.NextLoop()
			gpusOf := func(instanceType string) string {
				facts, _ := instancetypes.Embedded().Lookup(instanceType)
				_, count := facts.Accelerator()
				return strconv.Itoa(count)
			}
			infos, live := newProvider(w), showing(w, "a", tt.before, time.Hour, offers(tt.before, "nvidia.com/gpu", gpusOf(tt.before)))
			check := func(when, instanceType string) {
				t.Helper()
				gpus := next(w, infos, "a", live...).Status.Allocatable["nvidia.com/gpu"]
				assert.Equalf(t, gpusOf(instanceType), gpus.String(), "%s: GPUs of the next node, want those of a %s", when, instanceType)
			}
			check("before the change", tt.before)
			require.NoError(t, w.AWS.EditGroup("a", fakeaws.GroupEdit{LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "workers", Version: "2"}}))
			w.Reread()
			w.Eventually(func() string { return cmp.Diff([]string{tt.now}, w.View().Template("a").InstanceTypes) })
			check("after it", tt.now)
		})
	}
}

// k3s labels its nodes with its own name in place of the type, and people write provider IDs by hand.
func TestAWSStatesTypeAndZoneOfALiveNode(t *testing.T) {
	const region = "cn-northwest-1"
	most := 2
	requirements := &fakeaws.InstanceRequirements{VCPUs: fakeaws.Range{Min: 2, Max: &most}, MemoryMiB: fakeaws.Range{Min: 1},
		AllowedInstanceTypes: []string{"m5.large", "m6g.large"}}
	for _, tt := range []struct {
		name    string
		version fakeaws.LaunchTemplateVersion
		label   string // of the type
		zone    string // in the provider ID
	}{
		{name: "program for a type", label: "k3s", zone: awsworld.ZoneA},
		{name: "region for a zone", label: "m5.large", zone: region},
		{name: "no zone", label: "m5.large"},
		{name: "architecture of an image that may not be read", version: fakeaws.LaunchTemplateVersion{ImageID: "ami-0arm", Requirements: requirements}, label: "m6g.large", zone: awsworld.ZoneA},
		{name: "label of another type", label: "m5.xlarge", zone: awsworld.ZoneA},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.version.ImageID == "" {
				tt.version = fakeaws.LaunchTemplateVersion{ImageID: "ami-0abc", InstanceType: "m5.large"}
			}
			w := awsworld.NewAWS(t, func(c *fakeaws.Config) {
				c.Images = []fakeaws.Image{{ID: "ami-0arm", Architecture: "arm64"}}
				c.LaunchTemplates = append(c.LaunchTemplates, fakeaws.LaunchTemplate{Name: "workers", Versions: []fakeaws.LaunchTemplateVersion{tt.version}})
			}, awsworld.Group("a", "workers", 0, 1, 5, nil))
			w.AWS.Deny("DescribeImages")
			w = w.RestartedWith(nil)
			w.Eventually(func() string { return cmp.Diff(1, len(w.View().Group("a").Instances)) })
			real := w.Members("a", map[string]string{"team": "dsp", corev1.LabelInstanceTypeStable: tt.label})
			instance, _ := w.View().Instance(real[0])
			require.NotNil(t, instance)
			real[0].Spec.ProviderID = nodemeta.ProviderID(tt.zone, instance.ID)
			real[0].Spec.Taints = []corev1.Taint{{Key: "dedicated", Value: "a", Effect: corev1.TaintEffectNoSchedule}}
			w.Cluster.Put(t, real...)
			infos := newProvider(w)
			live := next(w, infos, "a", real...)
			assert.Equal(t, []any{"dsp", real[0].Spec.Taints}, []any{live.Labels["team"], live.Spec.Taints}, "label and taints of the next node beside the live one")
			w.Cluster.Drop(t, real...)
			w.Emptied("a")
			assert.Equal(t, !strings.Contains(tt.label, "xlarge"), next(w, infos, "a").Labels["team"] != "", "at zero the last node counts for the next")
		})
	}
}

func TestRemovedZoneDropsCachedNodeInfo(t *testing.T) {
	g := awsworld.Divided("a", "m5.large", 0, 2, 9)
	g.Zones = []string{awsworld.ZoneA, awsworld.ZoneB}
	w := awsworld.NewDivided(t, nil, g)
	infos := newProvider(w)
	var real []*corev1.Node
	for _, zone := range []string{awsworld.ZoneB, awsworld.ZoneA} { // the core copies the first
		real = append(real, w.Members("a/"+zone, map[string]string{corev1.LabelTopologyZone: zone, "seen": "by-the-core"})...)
	}
	edit := func(zones ...string) {
		t.Helper()
		require.NoError(t, w.AWS.EditGroup("a", fakeaws.GroupEdit{Zones: zones}))
		w.Reread()
	}
	shows := func(when, id, zone, seen string, live ...*corev1.Node) {
		t.Helper()
		if got := next(w, infos, id, live...).Labels; got[corev1.LabelTopologyZone] != zone || got["seen"] != seen {
			t.Errorf("%s: the next node of %s is taken to be in %s, and a copy of one %q, want %s and %q",
				when, id, got[corev1.LabelTopologyZone], got["seen"], zone, seen)
		}
	}
	shows("two zones", "a/"+awsworld.ZoneB, awsworld.ZoneB, "by-the-core", real...)
	edit(awsworld.ZoneA) // and so it is one group
	shows("one zone left", "a", awsworld.ZoneA, "", real...)
	shows("its nodes gone", "a", awsworld.ZoneA, "")
	shows("a node of its zone alone", "a", awsworld.ZoneA, "by-the-core", real[1])
	edit(awsworld.ZoneA, awsworld.ZoneC)
	shows("a zone that only has instances", "a/"+awsworld.ZoneB, awsworld.ZoneB, "by-the-core", real...)
	edit(awsworld.ZoneB)
	shows("the zone is back", "a", awsworld.ZoneB, "by-the-core", real...)
}

func TestZoneLabelDropsNoCachedNodeInfo(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	real := w.Members("a", map[string]string{corev1.LabelTopologyZone: "rack-1", "seen": "by-the-core"})
	got := next(w, newProvider(w), "a", real...).Labels
	assert.Truef(t, got[corev1.LabelTopologyZone] == "rack-1" && got["seen"] != "",
		"the next node is taken to have the labels %v, want those of the group's node", got)
}

func TestImplausibleNodeIsNoModelForTheNext(t *testing.T) {
	seen := map[string]string{corev1.LabelInstanceTypeStable: "m5.large", "kubernetes.io/seen": "by-the-core"}
	for _, tt := range []struct {
		name   string
		memory string // of the nodes, for pods
		broken string // of the first of them
		counts bool
	}{
		{name: "sound", memory: "7155392Ki", broken: "7155392Ki", counts: true},
		{name: "far from its type", memory: "7155392Ki", broken: "400000Ki"},
		{name: "behind the others", memory: "7155392Ki", broken: "6800000Ki"},
		{name: "less on all", memory: "6800000Ki", broken: "6800000Ki", counts: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := awsworld.New(t, nil, awsworld.Group("a", "m5.large", 0, 3, 5, nil))
			nodes, infos := w.Cluster, newProvider(w)
			real := w.Members("a", seen)
			for i, n := range real {
				n.Status.Allocatable["memory"] = resource.MustParse(tt.memory)
				if i == 0 {
					n.Status.Allocatable["memory"] = resource.MustParse(tt.broken)
				}
			}
			nodes.Put(t, real...)
			check := func(when string, live ...*corev1.Node) {
				t.Helper()
				next := next(w, infos, "a", live...)
				assert.Equalf(t, tt.counts, next.Labels["kubernetes.io/seen"] != "", "%s: the node counts for the next", when)
				if memory := next.Status.Allocatable.Memory(); memory.Cmp(resource.MustParse(tt.memory)) != 0 {
					t.Errorf("%s: the next node is taken to have %s for pods, want %s", when, memory, tt.memory)
				}
			}
			check("with its group", real...) // the core copies the first
			nodes.Drop(t, real[1:]...)
			check("as the last", real[0])
			nodes.Drop(t, real[0])
			w.Emptied("a")
			check("at zero")
		})
	}
}

func TestRareLabelIsNotPromised(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("a", "m5.large", 0, 2, 5, map[string]string{awsworld.Template + "label/new": "promised", awsworld.Template + "label/lifecycle": "OnDemand"}))
	nodes, infos := w.Cluster, newProvider(w)
	real := w.Members("a", map[string]string{"team": "dsp", "kubernetes.io/seen": "by-the-core"})
	nodes.Put(t, real...)
	next(w, infos, "a", real...)
	nodes.Drop(t, real[1])
	last := real[0].DeepCopy()
	last.Labels["debug"], last.Labels["empty"], last.Labels["new"], last.Labels["lifecycle"] = "by-hand", "", "promised", "Ec2Spot"
	nodes.Put(t, last)
	check := func(when string, live ...*corev1.Node) {
		t.Helper()
		got := next(w, infos, "a", live...).Labels
		assert.Truef(t, got["kubernetes.io/seen"] != "" && got["team"] == "dsp" && got["new"] == "promised",
			"%s: the next node is taken to have the labels %v, want those of the last", when, got)
		assert.Equalf(t, "OnDemand", got["lifecycle"], "%s: the next node's value, want the promised one and not that of one node", when)
		for _, key := range []string{"debug", "empty"} {
			assert.NotContainsf(t, got, key, "%s: the next node is taken to have the label that one node was given by hand", when)
		}
	}
	check("on the last node", last)
	nodes.Drop(t, last)
	w.Emptied("a")
	check("at zero")
}

func TestTaintOfOtherNodesCountsForTheNext(t *testing.T) {
	const noSchedule, noExecute, prefer = corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute, corev1.TaintEffectPreferNoSchedule
	taint := func(key, value string, effect corev1.TaintEffect) []corev1.Taint {
		return []corev1.Taint{{Key: key, Value: value, Effect: effect}}
	}
	spot := taint("spot", "true", noSchedule)
	for _, tt := range []struct {
		name                    string
		stated, other, of, want []corev1.Taint // by the template, on another node, on the live node and on the next one
	}{
		{name: "on another node", stated: spot, other: spot, want: spot},
		{name: "that evicts", stated: taint("spot", "", noExecute), other: taint("spot", "", noExecute), want: taint("spot", "", noExecute)},
		{name: "beside a taint of the live node", stated: spot, other: spot, of: taint("team", "a", noSchedule), want: append(taint("team", "a", noSchedule), spot...)},
		{name: "with another value on the live node", stated: spot, other: spot, of: taint("spot", "yes", noSchedule), want: taint("spot", "yes", noSchedule)},
		{name: "on no node", stated: spot},
		{name: "with another effect there", stated: spot, other: taint("spot", "true", noExecute)},
		{name: "that nobody states", other: spot},
		{name: "that keeps no pod away", stated: taint("spot", "true", prefer), other: taint("spot", "true", prefer)},
		{name: "that an agent takes off", stated: taint("example.com/booting", "", noSchedule), other: taint("example.com/booting", "", noSchedule)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			live, other := awsworld.M5Large("live", "", nil), awsworld.M5Large("other", "", nil)
			live.Spec.Taints, other.Spec.Taints = tt.of, tt.other
			template := &fromgroup.Template{Template: nodetemplate.Template{Taints: tt.stated}}
			flags := taints.NewTaintConfig(config.AutoscalingOptions{StartupTaints: []string{"example.com/booting"}})
			check := func(when string, want []corev1.Taint) {
				t.Helper()
				next := live.DeepCopy()
				correct(next, template, false, flags)
				assert.Equalf(t, want, next.Spec.Taints, "%s: taints of the next node", when)
			}
			check("before the nodes are known", tt.of)
			template.Seen.Learnt = nodetemplate.Conclude([]*nodetemplate.Observed{
				nodetemplate.Observe(live, "m5.large", time.Now()), nodetemplate.Observe(other, "m5.large", time.Now())}, nil, instancetypes.Embedded().Lookup)
			check("with both nodes", tt.want)
		})
	}
}
