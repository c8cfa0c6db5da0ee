package aws

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/testsnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"

	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
)

func TestALaunchTemplateThatChangedAtZeroReplacesThePictureOfTheLastNode(t *testing.T) {
	w := newWorld(t, func(c *fakeaws.Config) {
		c.LaunchTemplates = append(c.LaunchTemplates, fakeaws.LaunchTemplate{Name: "workers", Versions: []fakeaws.LaunchTemplateVersion{
			{ImageID: "ami-0abc", InstanceType: "m5.large"}, {ImageID: "ami-0abc", InstanceType: "m5.xlarge"}}})
	}, group("a", "workers", 0, 1, 5, nil))
	nodes, infos, snapshot := w.watched(), NewNodeInfos(w.Provider, time.Hour, false), testsnapshot.NewTestSnapshotOrDie(t)
	// next is what the core takes the next node of the group to be while it has those.
	next := func(live ...*corev1.Node) *corev1.Node {
		t.Helper()
		if err := snapshot.SetClusterState(live, nil, nil, nil); err != nil {
			t.Fatal(err)
		}
		w.refresh()
		all, err := infos.Process(&cacontext.AutoscalingContext{CloudProvider: w.Provider, ClusterSnapshot: snapshot}, live, nil, taints.TaintConfig{}, time.Now())
		if err != nil || all["a"] == nil {
			t.Fatalf("no NodeInfo of the group: %v", err)
		}
		return all["a"].Node()
	}
	real := w.members("a", map[string]string{"team": "dsp", "kubernetes.io/seen": "by-the-core"})
	nodes.put(t, real...)
	next(real...)
	nodes.drop(t, real...)
	w.emptied("a")
	if got := next().Labels; got["team"] != "dsp" || got["kubernetes.io/seen"] == "" {
		t.Fatalf("labels at zero are %v, want the core's picture of the last node: this proves nothing", got)
	}

	changed := group("a", "workers", 0, 0, 5, nil)
	changed.LaunchTemplate.Version = "2"
	if err := w.aws.DeleteGroup("a"); err != nil {
		t.Fatal(err)
	}
	if err := w.aws.AddGroup(changed); err != nil {
		t.Fatal(err)
	}
	if err := w.cache.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.eventually(func() string {
		if cpus := w.promised("a").Status.Capacity.Cpu(); cpus.Value() != 4 {
			return "the template still has " + cpus.String() + " CPUs"
		}
		return ""
	})
	got := next()
	if cpus := got.Status.Capacity.Cpu(); cpus.Value() != 4 || got.Labels["team"] != "" {
		t.Errorf("the next node is taken to have %s CPUs and the label %q, want the 4 of the new version and no label of the old", cpus, got.Labels["team"])
	}
	if outside := got.Labels["kubernetes.io/seen"]; outside != "" {
		t.Error("the next node still is the picture of one of the old version")
	}
}
