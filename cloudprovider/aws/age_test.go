package aws

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodes"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	caerrors "k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
)

// everyNode is a ScaleDownNodeProcessor for which every node may be removed.
type everyNode struct{ nodes.ScaleDownNodeProcessor }

func (everyNode) GetScaleDownCandidates(_ *cacontext.AutoscalingContext, all []*corev1.Node) ([]*corev1.Node, caerrors.AutoscalerError) {
	return all, nil
}

func TestWhatTheAgeOfTheReadingForbids(t *testing.T) {
	w := newWorld(t, nil, group("a", "m5.large", 0, 1, 5, nil))
	clients, err := awsclient.New(t.Context(), awsclient.Options{Region: w.aws.Region()})
	if err != nil {
		t.Fatal(err)
	}
	// Nothing is read but once: neither Run nor Refresh of the Cache is called before the last step.
	now := clocktesting.NewFakeClock(time.Now())
	cache := asg.NewCache(asg.Options{AutoScaling: clients.AutoScaling, Launches: launchspec.APIs{EC2: clients.EC2, EKS: clients.EKS},
		Discovery:       asg.Discovery{Filters: []asg.TagFilter{{{Key: enabledTag}}}},
		RefreshInterval: time.Minute, MotionInterval: time.Second, Clock: now})
	if err := cache.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	events := &eventLog{}
	p, err := New(t.Context(), Options{Cache: cache, Region: clients.Region, Catalogue: instancetypes.Embedded(), Event: events.add, Clock: now})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after       time.Duration
		read        bool
		remove, add bool
		events      int
		says        string
	}{
		{after: 0, remove: true, add: true},
		{after: 3 * time.Minute, remove: true, add: true},
		{after: time.Second, add: true, events: 1, says: "no node is removed"},
		{after: time.Minute, add: true, events: 1},
		{after: 6 * time.Minute, events: 2, says: "no node is added or removed"},
		{after: time.Minute, read: true, remove: true, add: true, events: 2},
	} {
		now.Step(step.after)
		if step.read {
			if err := cache.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Refresh(); err != nil {
			t.Fatalf("Refresh: %v, want none whatever the age", err)
		}
		candidates, coreErr := NewFreshCandidates(p, everyNode{}).GetScaleDownCandidates(nil, []*corev1.Node{{}})
		if coreErr != nil || len(candidates) == 1 != step.remove {
			t.Errorf("after %s %d nodes may be removed, error %v, want removal allowed: %t", cache.Age(), len(candidates), coreErr, step.remove)
		}
		infos := map[string]*framework.NodeInfo{"a": framework.NewNodeInfo(&corev1.Node{}, nil)}
		groups, _, processErr := NewLaunchable(p).Process(nil, []cloudprovider.NodeGroup{&NodeGroup{provider: p, id: "a", name: "a"}}, infos, nil)
		if processErr != nil || len(groups) == 1 != step.add {
			t.Errorf("after %s %d groups may grow, error %v, want growth allowed: %t", cache.Age(), len(groups), processErr, step.add)
		}
		all := events.all()
		if len(all) != step.events || step.says != "" && !strings.Contains(all[len(all)-1], step.says) {
			t.Errorf("after %s the events are %q, want %d, the last with %q", cache.Age(), all, step.events, step.says)
		}
	}
}

func TestNodesOfAShiftedZoneAreNoCandidates(t *testing.T) {
	shifting := group("a", "m5.large", 0, 2, 5, nil)
	shifting.Zones, shifting.ZonalShift = []string{"cn-northwest-1a", "cn-northwest-1b"}, true
	w := newAWS(t, nil, shifting)
	if err := w.aws.EditGroup("a", fakeaws.GroupEdit{ShiftedZones: &[]string{"cn-northwest-1b"}}); err != nil {
		t.Fatal(err)
	}
	w = w.restarted()
	var all []*corev1.Node
	for _, i := range w.cache.Snapshot().Group("a").Instances {
		all = append(all, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: i.Zone}, Spec: corev1.NodeSpec{ProviderID: "aws:///" + i.Zone + "/" + i.ID}})
	}
	w.eventually(func() string {
		candidates, err := NewFreshCandidates(w.Provider, everyNode{}).GetScaleDownCandidates(nil, all)
		if err != nil {
			return err.Error()
		}
		var zones []string
		for _, node := range candidates {
			zones = append(zones, node.Name)
		}
		return cmp.Diff([]string{"cn-northwest-1a"}, zones)
	})
}
