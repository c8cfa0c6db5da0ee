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

// leftAlone waits for so long, and returns why scale-down leaves group "a" alone then.
func (w *world) leftAlone(after time.Duration) group.Pause {
	w.t.Helper()
	time.Sleep(after)
	synctest.Wait() // for a reading at this very moment
	return w.group("a").LeftAlone(time.Now(), true)
}

const refreshes = "DescribeInstanceRefreshes"

func TestInstanceRefreshPausesScaleDown(t *testing.T) {
	t.Parallel()
	t.Run("it ends", bubbled(func(t *testing.T) { pausesScaleDown(t, 0) }))
	t.Run("it has a bake time", bubbled(func(t *testing.T) { pausesScaleDown(t, 24*time.Hour) }))
}

func pausesScaleDown(t *testing.T, bake time.Duration) {
	w := newWorld(t, scalingGroup("a", 0, 3, 9), scalingGroup("b", 0, 3, 9)).running()
	w.must(w.cache.Terminate(t.Context(), "a", w.ids("a")[:1]))
	assert.Zero(t, w.leftAlone(10*time.Minute), "left alone after a termination of ours")
	assert.Zero(t, w.described(refreshes), "looks after a termination of ours")
	w.must(w.aws.Do(fakeaws.Deed{Kind: fakeaws.Refresh, Group: "a", Bake: fakeaws.Duration(bake)}))
	w.must(w.aws.Suspend("a", "InstanceRefresh"))
	p := w.leftAlone(2 * time.Minute)
	assert.Truef(t, p.Down && !p.Up && strings.Contains(p.Operation.Text, "instance refresh"),
		"during an instance refresh %+v is left alone, want scale-down", p)
	assert.Zero(t, w.group("b").LeftAlone(time.Now(), true), "left alone of another group")
	assert.True(t, w.leftAlone(time.Hour).Down, "scale-down is left alone an hour later")
	assert.LessOrEqual(t, w.described(refreshes), 35, "looks in an hour, want at most one in two minutes")
	w.must(w.aws.Resume("a", "InstanceRefresh"))
	assert.Zero(t, w.leftAlone(5*time.Minute), "left alone after the end")
	time.Sleep(10 * time.Minute)
	before := w.described(refreshes)
	time.Sleep(time.Hour)
	assert.Equal(t, before, w.described(refreshes), "looks without a sign of a refresh")
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
		assert.Zero(t, w.leftAlone(10*time.Minute), "left alone without a sign")
		w.must(w.aws.Do(fakeaws.Deed{Kind: fakeaws.ReplaceRootVolume, Group: "a", Each: fakeaws.Duration(5 * time.Minute)}))
		before := w.described(refreshes)
		assert.True(t, w.leftAlone(2*time.Minute).Down, "scale-down is left alone")
		assert.LessOrEqual(t, w.described(refreshes)-before, 3, "looks, want one or two")
		assert.True(t, w.with(nil).started().group("a").LeftAlone(time.Now(), true).Down, "a new leader leaves scale-down alone")
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
		assert.True(t, w.leftAlone(25*time.Second).Down, "scale-down is left alone")
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
		assert.True(t, w.with(nil).started().group("a").LeftAlone(time.Now(), true).Down, "a new leader leaves scale-down alone")
	})(t)
}

func TestDeniedLookForInstanceRefreshChangesNothing(t *testing.T) {
	t.Parallel()
	bubbled(func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 3, 9)).running()
		w.aws.Deny(refreshes)
		w.must(w.aws.Do(fakeaws.Deed{Kind: fakeaws.Refresh, Group: "a"}))
		assert.Zero(t, w.leftAlone(5*time.Minute), "left alone")
		assert.Empty(t, w.group("a").Problems, "problems")
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
			g := w.group("a")
			assert.Equal(t, tt.status == "ACTIVE", g.EKSRepairs, "EKS repairs the nodes")
			assert.Len(t, g.Problems, tt.problems, "problems")
			assert.True(t, g.LaunchSpec == spec, "the launch spec is the same")
			if tt.status == "UPDATING" {
				w.aws.Inject(fakeaws.Fault{Action: "DescribeNodegroup", Code: "ExpiredToken", Times: 1})
				before := w.described("DescribeNodegroup")
				for w.described("DescribeNodegroup") == before {
					time.Sleep(time.Second)
				}
				for range 20 {
					assert.True(t, w.leftAlone(time.Second).Down, "scale-down is left alone after a look with credentials that have just expired")
					for _, problem := range w.group("a").Problems {
						assert.NotContains(t, problem.Remedy, "allow", "remedy")
					}
				}
				assert.Greater(t, w.described("DescribeNodegroup"), before+1, "looks, want another one within seconds")
				denied := w.aws.Deny("DescribeNodegroup")
				assert.Zero(t, w.leftAlone(4*time.Minute), "left alone though nobody will see the end")
				w.aws.ClearFaults(denied)
			}
			w.must(w.aws.SetNodegroupStatus("a", "ACTIVE", ""))
			assert.Zero(t, w.leftAlone(4*time.Minute), "left alone four minutes after the end")
			before := w.described("DescribeNodegroup")
			time.Sleep(time.Hour)
			assert.LessOrEqual(t, w.described("DescribeNodegroup")-before, 8, "looks in an hour without news")
		}))
	}
}
