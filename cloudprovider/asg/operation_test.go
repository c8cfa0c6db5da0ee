package asg_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// described counts the calls of an action so far.
func (w *world) described(action string) int { return w.aws.Calls()[action] }

// leftAlone waits for so long, and returns what is left alone of group "a" then.
func (w *world) leftAlone(after time.Duration) group.Pause {
	w.t.Helper()
	time.Sleep(after)
	synctest.Wait() // for a reading at this very moment
	return w.group("a").LeftAlone(time.Now())
}

const refreshes = "DescribeInstanceRefreshes"

func TestInstanceRefreshPausesScaleDown(t *testing.T) {
	t.Parallel()
	t.Run("it ends", bubbled(func(t *testing.T) { pausesScaleDown(t, 0) }))
	t.Run("it has a bake time", bubbled(func(t *testing.T) { pausesScaleDown(t, 24*time.Hour) }))
}

func pausesScaleDown(t *testing.T, bake time.Duration) {
	w := newWorld(t, scalingGroup("a", 0, 3, 9), scalingGroup("b", 0, 3, 9))
	w.running()
	w.must(w.cache.Terminate(t.Context(), "a", w.ids("a")[:1]))
	if p := w.leftAlone(10 * time.Minute); p != (group.Pause{}) || w.described(refreshes) != 0 {
		t.Fatalf("after a termination of ours: %+v and %d looks, want neither", p, w.described(refreshes))
	}
	w.must(w.aws.Do(fakeaws.Deed{Kind: fakeaws.Refresh, Group: "a", Bake: fakeaws.Duration(bake)}))
	w.must(w.aws.Suspend("a", "InstanceRefresh"))
	p := w.leftAlone(2 * time.Minute)
	assert.Truef(t, p.Down && !p.Up && strings.Contains(p.Operation.Text, "instance refresh"),
		"during an instance refresh %+v is left alone, want scale-down", p)
	if p := w.group("b").LeftAlone(time.Now()); p != (group.Pause{}) {
		t.Errorf("of another group %+v is left alone", p)
	}
	if p := w.leftAlone(time.Hour); !p.Down {
		t.Errorf("an hour later %+v is left alone, want scale-down", p)
	}
	n := w.described(refreshes)
	assert.Truef(t, n <= 35, "%d looks in an hour, want at most one in two minutes", n)
	w.must(w.aws.Resume("a", "InstanceRefresh"))
	if p := w.leftAlone(5 * time.Minute); p != (group.Pause{}) {
		t.Errorf("after the end %+v is left alone", p)
	}
	time.Sleep(10 * time.Minute)
	before := w.described(refreshes)
	time.Sleep(time.Hour)
	assert.Truef(t, w.described(refreshes) == before, "%d looks without a sign of a refresh", w.described(refreshes)-before)
}

// The new instances start from what the refresh says. The first one comes before an old one leaves, and the group states it once all have
// baked.
func TestRefreshWithADesiredConfiguration(t *testing.T) {
	t.Parallel()
	bubbled(func(t *testing.T) {
		a := scalingGroup("a", 0, 3, 9)
		a.MaintenancePolicy = &fakeaws.MaintenancePolicy{MinHealthy: 100, MaxHealthy: 110}
		w := newWorldWith(t, func(d *fakeaws.Delays) { d.InService = fakeaws.Duration(5 * time.Minute) }, a).running()
		newer := workers("m5.large")
		newer.Versions = append(newer.Versions, newer.Versions[0])
		w.must(w.aws.PutLaunchTemplate(newer))
		time.Sleep(10 * time.Minute)
		w.must(w.aws.Do(fakeaws.Deed{Kind: fakeaws.Refresh, Group: "a", Bake: fakeaws.Duration(time.Hour),
			LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "workers", Version: "2"}}))
		p := w.leftAlone(2 * time.Minute)
		assert.Truef(t, p.Down && len(w.group("a").Instances) == 4, "%+v is left alone with %d instances, want scale-down before one has left",
			p, len(w.group("a").Instances))
		p = w.leftAlone(30 * time.Minute)
		g := w.group("a")
		assert.Truef(t, p == group.Pause{} && g.Operation.Bakes && g.Source.Template.Version == "1",
			"%+v is left alone while it bakes: %t, and the group states version %s", p, g.Operation.Bakes, g.Source.Template.Version)
		assert.True(t, w.with(nil).started().group("a").Operation.Bakes, "a new leader sees it")
		time.Sleep(time.Hour)
		g = w.group("a")
		assert.Truef(t, !g.Operation.Bakes && g.Source.Template.Version == "2",
			"in the end it bakes: %t, and the group states version %s", g.Operation.Bakes, g.Source.Template.Version)
	})(t)
}

// No instance leaves the group then.
func TestRefreshOfRootVolumesPausesScaleDown(t *testing.T) {
	t.Parallel()
	bubbled(func(t *testing.T) {
		a := scalingGroup("a", 0, 3, 9)
		a.SuspendedProcesses = []string{"InstanceRefresh"}
		w := newWorld(t, a).running()
		w.must(w.aws.Do(fakeaws.Deed{Kind: fakeaws.Refresh, Group: "a"}))
		p := w.leftAlone(10 * time.Minute)
		assert.Equal(t, group.Pause{}, p, "left alone without a sign")
		w.must(w.aws.Do(fakeaws.Deed{Kind: fakeaws.ReplaceRootVolume, Group: "a", Each: fakeaws.Duration(5 * time.Minute)}))
		before := w.described(refreshes)
		p = w.leftAlone(2 * time.Minute)
		assert.Truef(t, p.Down && w.described(refreshes)-before <= 3, "%+v is left alone after %d looks, want scale-down after one or two", p, w.described(refreshes)-before)
		p = w.with(nil).started().group("a").LeftAlone(time.Now())
		assert.Truef(t, p.Down, "a new leader leaves %+v alone, want scale-down", p)
	})(t)
}

// EKS begins its update a moment after somebody changed the group, so the second sign comes right after a look.
func TestSignRightAfterALookIsLookedAtSoon(t *testing.T) {
	t.Parallel()
	bubbled(func(t *testing.T) {
		config := having(managed("a", 0, 1, 9))
		config.EKSNodegroups = []fakeaws.EKSNodegroup{{Cluster: "prod", Name: "workers", AutoScalingGroup: "a"}}
		w := newWorldOf(t, config, discovered).with(func(o *asg.Options) { o.RefreshInterval = 5 * time.Second }).running()
		time.Sleep(10 * time.Minute)
		w.must(w.aws.SetLimits("a", 0, 10))
		for before := w.described("DescribeNodegroup"); w.described("DescribeNodegroup") == before; {
			time.Sleep(time.Second)
		}
		w.must(w.aws.SetNodegroupStatus("a", "UPDATING", ""))
		w.must(w.aws.SetLimits("a", 0, 11))
		p := w.leftAlone(25 * time.Second)
		assert.Truef(t, p.Down, "%+v is left alone, want scale-down", p)
	})(t)
}

// A new leader sees a refresh by instances of two origins.
func TestStartSeesInstanceRefresh(t *testing.T) {
	t.Parallel()
	bubbled(func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 3, 9)).running()
		newer := workers("m5.large")
		newer.Versions = append(newer.Versions, newer.Versions[0])
		w.must(w.aws.PutLaunchTemplate(newer))
		w.must(w.aws.EditGroup("a", fakeaws.GroupEdit{LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "workers", Version: "2"}}))
		w.must(w.aws.Do(fakeaws.Deed{Kind: fakeaws.Refresh, Group: "a"}))
		w.must(w.aws.Suspend("a", "InstanceRefresh"))
		time.Sleep(time.Minute)
		p := w.with(nil).started().group("a").LeftAlone(time.Now())
		assert.Truef(t, p.Down, "a new leader leaves %+v alone, want scale-down", p)
	})(t)
}

func TestDeniedLookForInstanceRefreshChangesNothing(t *testing.T) {
	t.Parallel()
	bubbled(func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 3, 9)).running()
		w.aws.Deny(refreshes)
		w.must(w.aws.Do(fakeaws.Deed{Kind: fakeaws.Refresh, Group: "a"}))
		p := w.leftAlone(5 * time.Minute)
		assert.Truef(t, p == (group.Pause{}) && len(w.group("a").Problems) == 0, "%+v is left alone with problems %+v, want neither", p, w.group("a").Problems)
		n := w.described(refreshes)
		assert.Truef(t, n != 0 && n <= 6, "%d looks that AWS denied, want a few", n)
	})(t)
}

// It may have EKS's own node repair, and two would repair one node.
func TestUnreadNodegroupIsLeftToEKS(t *testing.T) {
	t.Parallel()
	bubbled(func(t *testing.T) {
		config := having(managed("a", 0, 1, 9), scalingGroup("b", 0, 1, 9))
		config.EKSNodegroups = []fakeaws.EKSNodegroup{{Cluster: "prod", Name: "workers", AutoScalingGroup: "a"}}
		w := newWorldOf(t, config, discovered)
		denied := w.aws.Deny("DescribeNodegroup")
		w.running()
		for range 2 {
			got := [2]bool{w.group("a").EKSRepairs, w.group("b").EKSRepairs}
			assert.Equal(t, [2]bool{true, false}, got, "nodes of EKS's group and of ours are left to EKS")
			time.Sleep(10 * time.Minute)
		}
		w.aws.ClearFaults(denied)
		time.Sleep(20 * time.Minute)
		assert.False(t, w.group("a").EKSRepairs, "left to EKS, which repairs none of them")
	})(t)
}

func TestStatusOfManagedNodegroup(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status   string
		want     group.Pause
		problems int
	}{
		{status: "UPDATING", want: group.Pause{Down: true}},
		{status: "CREATING", want: group.Pause{Down: true}},
		{status: "DELETING", want: group.Pause{Up: true, Down: true}},
		{status: "DEGRADED", problems: 1},
		{status: "DELETE_FAILED", problems: 1},
		{status: "ACTIVE"},
	} {
		t.Run(tt.status, bubbled(func(t *testing.T) {
			config := having(managed("a", 0, 1, 9))
			config.EKSNodegroups = []fakeaws.EKSNodegroup{{Cluster: "prod", Name: "workers", AutoScalingGroup: "a", NodeRepair: tt.status == "ACTIVE"}}
			w := newWorldOf(t, config, discovered).running()
			time.Sleep(30 * time.Second)
			spec := w.group("a").LaunchSpec
			w.must(w.aws.SetNodegroupStatus("a", tt.status, "AccessDenied"))
			w.must(w.aws.SetLimits("a", 0, 10)) // as EKS does when it begins
			p := w.leftAlone(70 * time.Second)
			text := p.Operation.Text
			p.Operation = (launchspec.Operation{})
			assert.Truef(t, p == tt.want && (text != "") == p.Down, "%+v is left alone because %q, want %+v", p, text, tt.want)
			got, want := w.group("a").EKSRepairs, tt.status == "ACTIVE"
			assert.Equal(t, want, got, "EKS repairs the nodes")
			if g := w.group("a"); len(g.Problems) != tt.problems || g.LaunchSpec != spec {
				t.Errorf("problems %+v, want %d, and the launch spec is another: %t", g.Problems, tt.problems, g.LaunchSpec != spec)
			}
			if tt.status == "UPDATING" {
				w.aws.Inject(fakeaws.Fault{Action: "DescribeNodegroup", Code: "ExpiredToken", Times: 1})
				before := w.described("DescribeNodegroup")
				for w.described("DescribeNodegroup") == before {
					time.Sleep(time.Second)
				}
				for range 20 {
					p := w.leftAlone(time.Second)
					assert.Truef(t, p.Down, "%+v is left alone after a look with credentials that have just expired", p)
					for _, problem := range w.group("a").Problems {
						assert.NotContains(t, problem.Remedy, "allow", "remedy")
					}
				}
				assert.Greater(t, w.described("DescribeNodegroup"), before+1, "looks, want another one within seconds")
				denied := w.aws.Deny("DescribeNodegroup")
				p := w.leftAlone(4 * time.Minute)
				assert.Truef(t, p == (group.Pause{}), "%+v is left alone though nobody will see the end", p)
				w.aws.ClearFaults(denied)
			}
			w.must(w.aws.SetNodegroupStatus("a", "ACTIVE", ""))
			if p := w.leftAlone(4 * time.Minute); p != (group.Pause{}) {
				t.Errorf("%+v is left alone four minutes after the end", p)
			}
			before := w.described("DescribeNodegroup")
			if time.Sleep(time.Hour); w.described("DescribeNodegroup")-before > 8 {
				t.Errorf("%d looks in an hour without news", w.described("DescribeNodegroup")-before)
			}
		}))
	}
}
