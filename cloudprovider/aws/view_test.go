package aws

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/grouptemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/providerid"
	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
)

// reread reads the groups anew and moves the view on.
func (w *world) reread() {
	w.t.Helper()
	before := w.cache.Snapshot()
	if err := w.cache.Refresh(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	if w.cache.Snapshot() == before {
		w.t.Fatal("the refresh gave no new snapshot")
	}
	w.refresh()
}

// templates are the templates at the moment, by group.
func (w *world) templates() map[string]*grouptemplate.Template {
	return maps.Clone(w.view.Load().templates)
}

// rebuiltSince are the groups whose template is another one than before, sorted.
func (w *world) rebuiltSince(before map[string]*grouptemplate.Template) []string {
	now := w.templates()
	maps.DeleteFunc(now, func(name string, t *grouptemplate.Template) bool { return before[name] == t })
	return slices.Sorted(maps.Keys(now))
}

func (w *world) setTag(group, key, value string) {
	w.t.Helper()
	if err := w.aws.SetTags(group, map[string]*string{key: &value}); err != nil {
		w.t.Fatal(err)
	}
}

func TestChangedGroupAloneRebuildsItsTemplate(t *testing.T) {
	const count = 1000
	var groups []fakeaws.AutoScalingGroup
	for i := range count {
		groups = append(groups, group(fmt.Sprintf("g-%03d", i), "m5.large", 0, i%2, 5, map[string]string{template + "label/team": "dsp"}))
	}
	w := newWorld(t, nil, groups...)
	w.refresh()
	before := w.templates()
	if len(before) != count {
		t.Fatalf("%d templates, want %d", len(before), count)
	}
	for range 2 {
		if w.reread(); len(w.rebuiltSince(before)) > 0 {
			t.Fatalf("%d of %d templates were built again although nothing changed", len(w.rebuiltSince(before)), count)
		}
	}
	w.setTag("g-007", template+"label/team", "web")
	w.reread()
	if got := w.rebuiltSince(before); !slices.Equal(got, []string{"g-007"}) {
		t.Errorf("templates built again: %q, want that of g-007 alone", got)
	}
}

func TestGroupOutsideTheViewStaysOutside(t *testing.T) {
	w := newWorld(t, nil, group("a", "m5.large", 0, 1, 5, nil))
	if err := w.aws.AddGroup(group("young", "m5.large", 0, 1, 5, nil)); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); w.cache.Snapshot().Group("young") == nil || len(w.cache.Snapshot().Group("young").Instances) == 0; {
		if err := w.cache.Refresh(t.Context()); err != nil || time.Now().After(end) {
			t.Fatalf("the new group has no instance, error %v", err)
		}
	}
	w.adopt("young")
	young := w.cache.Snapshot().Group("young").Instances[0]
	if _, err := w.HasInstance(node("n", providerid.Of(young.Zone, young.ID))); err != cloudprovider.ErrNotImplemented {
		t.Errorf("HasInstance of its node gave %v, want ErrNotImplemented: the core knows no node group of it", err)
	}
}

func TestTagsOfOneGroupLeaveOthersAlone(t *testing.T) {
	w := newWorld(t, nil, group("noisy", "m5.large", 0, 0, 5, nil), group("quiet", "g4dn.xlarge", 0, 1, 5, nil))
	w.refresh()
	before := w.templates()
	r := rand.New(rand.NewPCG(3, 4))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	for range 100 {
		key := template + pick("label/", "taint/", "resources/", "autoscaling-options/", "") +
			pick("cpu", "memory", "nvidia.com/gpu", "scaledownunneededtime", "topology.kubernetes.io/zone", "kubernetes.io/hostname", "-", "a b")
		w.setTag("noisy", key, pick("0", "-1", "1e999", "NaN", "a:NoSchedule", ":", "10m", "\x00", "", "ü"))
		w.reread()
		if w.templates()["quiet"] != before["quiet"] || len(w.NodeGroups()) != 2 {
			t.Fatalf("with %q the other group's template was built again, or a group is gone", key)
		}
	}
	if got := w.rebuiltSince(before); !slices.Equal(got, []string{"noisy"}) {
		t.Errorf("templates built again: %q, want that of noisy", got)
	}
}
