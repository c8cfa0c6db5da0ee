package asg_test

import (
	"slices"
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestInstanceOriginMatchesLaunchSpec(t *testing.T) {
	t.Parallel()
	versions := fakeaws.LaunchTemplate{ID: "lt-1", Name: "workers", Versions: []fakeaws.LaunchTemplateVersion{
		{ImageID: "ami-0abc", InstanceType: "m5.large"}, {ImageID: "ami-0abc", InstanceType: "m5.large"}}}
	alias := fakeaws.LaunchTemplate{ID: "lt-2", Name: "alias", Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "resolve:ssm:/ours/ami", InstanceType: "m5.large"}}}
	from := func(name, template, version string) fakeaws.AutoScalingGroup {
		g := scalingGroup(name, 0, 1, 3)
		g.LaunchTemplate = &fakeaws.LaunchTemplateRef{Name: template, Version: version}
		return g
	}
	w := newWorldOf(t, fakeaws.Config{Delays: quick, LaunchTemplates: []fakeaws.LaunchTemplate{versions, alias}, AutoScalingGroups: []fakeaws.AutoScalingGroup{
		from("numbered", "workers", "1"), from("latest", "workers", "$Latest"), from("default", "workers", "$Default"), from("alias", "alias", "1")}},
		ownership.Discovery{Filters: []ownership.TagFilter{{{Key: discoveryTag}}}})
	w.must(w.cache.Start(t.Context()))
	for _, tt := range []struct {
		group, origin string
		same          bool
	}{
		{group: "numbered", origin: "lt-1 version 1", same: true},
		{group: "latest", origin: "lt-1 version 2", same: true},
		{group: "default", origin: "lt-1 version 1", same: true},
		{group: "alias", origin: "lt-2 version 1", same: false},
	} {
		g := w.cache.Snapshot().Group(tt.group)
		if len(g.Instances) != 1 || g.LaunchSpec == nil {
			t.Fatalf("%s: %d instances, launch %v", tt.group, len(g.Instances), g.LaunchSpec)
		}
		if got := g.Instances[0].Origin; got != tt.origin {
			t.Errorf("%s: its instance started from %q, want %q", tt.group, got, tt.origin)
		}
		if same := slices.Contains(g.LaunchSpec.Origins, g.Instances[0].Origin); same != tt.same {
			t.Errorf("%s: among the origins %q of the next one: %t, want %t", tt.group, g.LaunchSpec.Origins, same, tt.same)
		}
	}
	g := w.cache.Snapshot().Group("numbered")
	if other := w.cache.Snapshot().Group("latest").Instances[0].Origin; slices.Contains(g.LaunchSpec.Origins, other) {
		t.Errorf("an instance of version 2 is taken for one of %q", g.LaunchSpec.Origins)
	}
}
