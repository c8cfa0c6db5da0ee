package aws

import (
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

func TestOldReadingForbidsActions(t *testing.T) {
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
		if got := !p.TooOldToRemove(); got != step.remove {
			t.Errorf("after %s removal is allowed: %t, want %t", cache.Age(), got, step.remove)
		}
		if got := !p.TooOldToAdd(); got != step.add {
			t.Errorf("after %s growth is allowed: %t, want %t", cache.Age(), got, step.add)
		}
		all := events.all()
		if len(all) != step.events || step.says != "" && !strings.Contains(all[len(all)-1], step.says) {
			t.Errorf("after %s the events are %q, want %d, the last with %q", cache.Age(), all, step.events, step.says)
		}
	}
}
