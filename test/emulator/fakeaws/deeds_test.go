package fakeaws

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func do(t *testing.T, s *Server, d Deed) {
	d.Group = first(d.Group, "g")
	require.NoError(t, s.Do(d))
}

func number(n int) *int { return &n }

// happened are the events of a kind, as one line each.
func happened(s *Server, kind EventKind) []string {
	out := []string{}
	for _, e := range s.Events() {
		if e.Kind == kind {
			out = append(out, strings.TrimSpace(e.By+" "+e.Message))
		}
	}
	return out
}

func TestScheduledActionComesAgainAndAgain(t *testing.T) {
	cfg := oneGroup(withDesired(1))
	cfg.Deeds = []Deed{
		{Kind: ScheduledAction, Group: "g", After: Duration(time.Minute), Every: Duration(time.Hour), Desired: number(3)},
		{Kind: OperatorDesired, Group: "g", After: Duration(30 * time.Minute), Add: 2},
	}
	inBubble(t, cfg, func(t *testing.T, s *Server, c clients) {
		for _, step := range []struct {
			after   time.Duration
			desired int32
		}{{59 * time.Second, 1}, {2 * time.Second, 3}, {30 * time.Minute, 5}, {30 * time.Minute, 3}} {
			pass(step.after)
			g := describe(t, c, "g")
			assert.Truef(t, *g.DesiredCapacity == step.desired, "%v later: desired %d, want %d", step.after, *g.DesiredCapacity, step.desired)
		}
		require.NoError(t, s.Suspend("g", "ScheduledActions"))
		setDesired(t, c, "g", 4)
		pass(time.Hour)
		want := []string{"scheduled-action the process ScheduledActions is suspended"}
		diff := cmp.Diff(want, happened(s, Refused))
		assert.Truef(t, diff == "" && *describe(t, c, "g").DesiredCapacity == 4, "refused (-want +got):\n%s", diff)
	})
}

func TestDeedsStayWithinTheLimits(t *testing.T) {
	inBubble(t, oneGroup(withDesired(4)), func(t *testing.T, s *Server, c clients) {
		for _, kind := range []DeedKind{OperatorDesired, ScheduledAction} {
			do(t, s, Deed{Kind: kind, Desired: number(11)})
			do(t, s, Deed{Kind: kind, Desired: number(-1)})
		}
		pass(time.Minute)
		statesAre(t, c, "after all were refused", map[string]int{"InService": 4})
		do(t, s, Deed{Kind: Delete, Group: "gone"})
		assert.Len(t, happened(s, Refused), 5, "refused, want four and one of a group that does not exist")
		assert.Error(t, s.Do(Deed{Kind: "dance", Group: "g"}), "an unknown kind was accepted")
	})
}

// User guide, "Rebalancing activities": "launches new instances before terminating the old ones", beyond the maximum if need be.
func TestRebalanceEvensTheZonesOut(t *testing.T) {
	inBubble(t, oneGroup(withDesired(6), func(g *AutoScalingGroup) { g.Max = 6 }), func(t *testing.T, s *Server, c clients) {
		byZone := func() []int {
			n := map[string]int{}
			g, _ := s.Group("g")
			for _, i := range g.Instances {
				n[i.Zone]++
			}
			return []int{n["us-west-2a"], n["us-west-2b"], n["us-west-2c"]}
		}
		group, _ := s.Group("g")
		for _, i := range group.Instances {
			if i.Zone == "us-west-2c" {
				_, err := terminate(t, c, true, &i.ID)
				require.NoError(t, err)
			}
		}
		pass(time.Minute)
		require.Empty(t, cmp.Diff([]int{2, 2, 0}, byZone()), "before (-want +got)")
		most := 0
		do(t, s, Deed{Kind: Rebalance})
		for range 600 {
			pass(100 * time.Millisecond)
			g, _ := s.Group("g")
			most = max(most, len(g.Instances))
		}
		diff := cmp.Diff([]int{1, 2, 1}, byZone())
		assert.Truef(t, diff == "" && most == 5, "at most %d instances, want 5; zones (-want +got):\n%s", most, diff)
		diff = cmp.Diff([]string{"az-rebalance"}, happened(s, Replaced))
		assert.Truef(t, diff == "" && count(s, ScaleInKill) == 0, "%d killed; replaced (-want +got):\n%s", count(s, ScaleInKill), diff)
		do(t, s, Deed{Kind: SuspendProcesses, Processes: []string{"AZRebalance"}})
	})
}

func TestSuspendedRebalanceMovesNothing(t *testing.T) {
	inBubble(t, oneGroup(withDesired(2), func(g *AutoScalingGroup) { g.SuspendedProcesses = []string{"AZRebalance"} }), func(t *testing.T, s *Server, c clients) {
		s.AddShortage(Shortage{Zone: "us-west-2b"})
		s.AddShortage(Shortage{Zone: "us-west-2c"})
		setDesired(t, c, "g", 5)
		pass(time.Minute)
		s.ClearShortages()
		launched := count(s, Launched)
		do(t, s, Deed{Kind: Rebalance})
		pass(time.Minute)
		if got := count(s, Launched); got != launched || count(s, Replaced) != 0 {
			t.Errorf("%d launched and %d replaced by a suspended process", got-launched, count(s, Replaced))
		}
	})
}

// User guide, "Instance refresh": replaces instances while at least the minimum healthy percentage stays in service.
func TestRefreshReplacesEveryInstance(t *testing.T) {
	cfg := oneGroup(withDesired(4))
	cfg.LaunchTemplates[0].Versions = append(cfg.LaunchTemplates[0].Versions, LaunchTemplateVersion{InstanceType: "m5.xlarge", ImageID: "ami-2"})
	cfg.AutoScalingGroups[0].LaunchTemplate.Version = "1"
	inBubble(t, cfg, func(t *testing.T, s *Server, c clients) {
		before, _ := s.Group("g")
		require.NoError(t, s.ProtectInstance(before.Instances[2].ID, true))
		require.NoError(t, s.EditGroup("g", GroupEdit{LaunchTemplate: &LaunchTemplateRef{Name: "t", Version: "2"}}))
		do(t, s, Deed{Kind: Refresh})
		least := 4
		for range 600 {
			pass(100 * time.Millisecond)
			least = min(least, states(describe(t, c, "g"))["InService"])
		}
		types := map[string]int{}
		g, _ := s.Group("g")
		for _, i := range g.Instances {
			types[i.InstanceType]++
		}
		if diff := cmp.Diff(map[string]int{"m5.xlarge": 3, "m5.large": 1}, types); diff != "" || g.Desired != 4 || least != 3 {
			t.Errorf("desired %d, %d in service at least; types (-want +got):\n%s", g.Desired, least, diff)
		}
		assert.Len(t, happened(s, Replaced), 3, "replaced")
	})
}

func TestChanceFollowsTheSeed(t *testing.T) {
	victims := func(seed uint64) []string {
		var out []string
		cfg := oneGroup(withDesired(8))
		cfg.Seed = seed
		inBubble(t, cfg, func(t *testing.T, s *Server, c clients) {
			do(t, s, Deed{Kind: Reclaim, Count: 2})
			for _, e := range s.Events() {
				if e.Kind == Reclaimed {
					out = append(out, e.Instance)
				}
			}
		})
		return out
	}
	one := victims(1)
	diff := cmp.Diff(one, victims(1))
	assert.Truef(t, diff == "" && len(one) == 2, "the same seed twice (-first +second):\n%s", diff)
	assert.False(t, cmp.Equal(one, victims(2)), "another seed changed nothing")
}

func TestSpotInstancesAreReclaimedFirst(t *testing.T) {
	half := 50
	inBubble(t, oneGroup(withDesired(4), mixed(Distribution{OnDemandPercentageAboveBaseCapacity: &half})), func(t *testing.T, s *Server, c clients) {
		do(t, s, Deed{Kind: Reclaim, Count: 2})
		for _, e := range s.Events() {
			assert.Truef(t, e.Kind != Reclaimed || e.CapacityType == spot, "reclaimed %v", e)
		}
		pass(time.Minute)
		assert.Truef(t, count(s, Reclaimed) == 2 && len(describe(t, c, "g").Instances) == 4,
			"%d reclaimed, %d instances; want 2, replaced", count(s, Reclaimed), len(describe(t, c, "g").Instances))
	})
}

func TestRecreatedGroupKeepsItsName(t *testing.T) {
	inBubble(t, oneGroup(withDesired(2), func(g *AutoScalingGroup) { g.RegisterAfter = Never }), func(t *testing.T, s *Server, c clients) {
		old := describe(t, c, "g")
		do(t, s, Deed{Kind: Delete, BackAfter: Duration(10 * time.Second)})
		pass(5 * time.Second)
		_, exists := s.Group("g")
		assert.False(t, exists, "the group is still there")
		assert.NoError(t, s.SetNodeConfig("g", NodeConfig{}))
		pass(time.Minute)
		s.account.mu.Lock()
		registers := s.account.groups["g"].RegisterAfter
		s.account.mu.Unlock()
		assert.Zero(t, registers, "the nodes register as the group that is gone had it")
		assert.Error(t, s.SetNodeConfig("gone", NodeConfig{}), "a group that does not exist and will not come back was changed")
		g := describe(t, c, "g")
		if len(g.Instances) != 2 || *g.AutoScalingGroupARN == *old.AutoScalingGroupARN || *g.Instances[0].InstanceId == *old.Instances[0].InstanceId {
			t.Errorf("group %s with %d instances; want another with 2 others", *g.AutoScalingGroupARN, len(g.Instances))
		}
	})
}

// User guide, "Default termination policy": the zone with the most instances, then the oldest launch template version.
func TestScaleInPrefersAnOutdatedTemplate(t *testing.T) {
	cfg := oneGroup(withDesired(2), func(g *AutoScalingGroup) { g.Zones, g.LaunchTemplate.Version = g.Zones[:1], "2" })
	cfg.LaunchTemplates[0].Versions = append(cfg.LaunchTemplates[0].Versions, cfg.LaunchTemplates[0].Versions[0])
	inBubble(t, cfg, func(t *testing.T, s *Server, c clients) {
		do(t, s, Deed{Kind: OperatorDesired, Add: 1, After: Duration(time.Minute)})
		require.NoError(t, s.EditGroup("g", GroupEdit{LaunchTemplate: &LaunchTemplateRef{Name: "t", Version: "1"}}))
		pass(2 * time.Minute)
		require.NoError(t, s.EditGroup("g", GroupEdit{LaunchTemplate: &LaunchTemplateRef{Name: "t", Version: "2"}}))
		all, _ := s.Group("g")
		setDesired(t, c, "g", 2)
		for _, e := range s.Events() {
			assert.Truef(t, e.Kind != ScaleInKill || e.Instance == all.Instances[2].ID,
				"killed %s, want the newest, which has the wrong version", e.Instance)
		}
		assert.Equal(t, 1, count(s, ScaleInKill), "killed")
	})
}
