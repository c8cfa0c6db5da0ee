package asg_test

import (
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestGroupIsInterruptedOnceAllPoolsAre(t *testing.T) {
	t.Parallel()
	spot := scalingGroup("spot", 0, 0, 5)
	spot.LaunchTemplate.Name, spot.Zones = "spot", []string{"us-west-2a", "us-west-2b"}
	onDemand, mixed, half := scalingGroup("on-demand", 0, 0, 5), scalingGroup("mixed", 0, 0, 5), 50
	mixed.MixedInstancesPolicy = &fakeaws.MixedInstancesPolicy{LaunchTemplate: *mixed.LaunchTemplate,
		Distribution: fakeaws.Distribution{OnDemandPercentageAboveBaseCapacity: &half}}
	mixed.LaunchTemplate, mixed.Zones = nil, spot.Zones
	w := newWorldOf(t, fakeaws.Config{Delays: quick, AutoScalingGroups: []fakeaws.AutoScalingGroup{spot, onDemand, mixed},
		LaunchTemplates: []fakeaws.LaunchTemplate{workers("m5.large"), {Name: "spot", Versions: []fakeaws.LaunchTemplateVersion{
			{ImageID: "ami-0abc", InstanceType: "m5.large", Spot: true}}}}},
		ownership.Discovery{Filters: []ownership.TagFilter{{{Key: discoveryTag}}}}).started()

	was := func(name string) bool { return w.cache.WasInterrupted(w.group(name)) }
	w.cache.Interrupted(cooldown.Pool{InstanceType: "m5.large", Zone: "us-west-2a"}, "taken")
	w.cache.Interrupted(cooldown.Pool{InstanceType: "m5.large"}, "taken somewhere")
	if was("spot") || was("mixed") || was("on-demand") {
		t.Error("interrupted with a zone left")
	}
	w.cache.Interrupted(cooldown.Pool{InstanceType: "m5.large", Zone: "us-west-2b"}, "taken")
	if !was("spot") || !was("mixed") || was("on-demand") {
		t.Errorf("spot %v, mixed %v, on-demand %v, want the groups that buy spot instances", was("spot"), was("mixed"), was("on-demand"))
	}
	if _, resting := w.cache.CoolDown(w.group("spot")); resting {
		t.Error("a group is left alone that may well have capacity")
	}
}

func TestLaunchPrefersUninterruptedZones(t *testing.T) {
	t.Parallel()
	spot := scalingGroup("spot", 0, 0, 5)
	spot.LaunchTemplate.Name, spot.Zones = "spot", []string{"us-west-2a", "us-west-2b"}
	w := newWorldOf(t, fakeaws.Config{Delays: quick, AutoScalingGroups: []fakeaws.AutoScalingGroup{spot},
		LaunchTemplates: []fakeaws.LaunchTemplate{{Name: "spot", Versions: []fakeaws.LaunchTemplateVersion{
			{ImageID: "ami-0abc", InstanceType: "m5.large", Spot: true}}}}},
		ownership.Discovery{Filters: []ownership.TagFilter{{{Key: discoveryTag}}}}).
		with(func(o *asg.Options) { o.LaunchMode = asg.LaunchSynchronous }).started()
	w.cache.Interrupted(cooldown.Pool{InstanceType: "m5.large", Zone: "us-west-2a"}, "taken")
	g, err := w.cache.Increase(t.Context(), "spot", 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range g.Instances {
		if i.Zone != "us-west-2b" {
			t.Errorf("launched in %s", i.Zone)
		}
	}
	if len(g.Instances) != 3 {
		t.Errorf("%d instances, want 3", len(g.Instances))
	}
}
