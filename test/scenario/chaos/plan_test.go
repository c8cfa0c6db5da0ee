package chaos

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestSeedGivesTheSamePlan(t *testing.T) {
	for seed := range uint64(50) {
		assert.Emptyf(t, cmp.Diff(NewPlan(seed, false), NewPlan(seed, false)), "seed %d (-first +second)", seed)
	}
	assert.False(t, cmp.Equal(NewPlan(1, false).Steps, NewPlan(5, false).Steps), "seeds 1 and 5 give the same steps")
}

func TestPlansCoverEveryFaultInEveryMode(t *testing.T) {
	type place struct {
		kind     Kind
		mode     string
		replicas int
	}
	const killAtNomination Kind = "kill at a nomination"
	seen := map[place]int{}
	for seed := range uint64(200) {
		p := NewPlan(seed+1, false)
		for kind, n := range p.Faults() {
			seen[place{kind, p.Mode, p.Replicas}] += n
		}
		for _, s := range p.Steps {
			if s.Kind == KillAtWrite && s.API.Path == "/status" {
				seen[place{killAtNomination, p.Mode, p.Replicas}]++
			}
		}
	}
	for _, kind := range []Kind{
		APIErrors, Throttling, Latency, HangingLaunch, Truncated, Garbled, LostAnswers, LateErrors, NoCapacity, StaleReads, ClockJump, Reclaim, Recreate,
		ForeignDesired, ForeignMinimum, Moves, TagsChanged, NeverJoins, NotReady, KillReplica, StopReplica, PauseReplica, StealLease,
		PartialBatch, ActionThrottled, DyingLaunches, RootVolume, APIRefuses, APIHangs, APICuts, Crash, Interruption, Recommendation, Maintenance, Garbage,
		LostWrites, KillAtWrite, killAtNomination, UserCordons, UserUncordons, UserDeletes, Starved,
	} {
		for _, mode := range modes {
			for replicas := 1; replicas <= 2; replicas++ {
				at := (place{kind, mode, replicas})
				assert.Truef(t, seen[at] != 0, "200 seeds have no %+v", at)
			}
		}
	}
}

func TestPlansCoverEveryTraitInEveryMode(t *testing.T) {
	seen := map[string]map[string]int{}
	for _, mode := range modes {
		seen[mode] = map[string]int{}
	}
	for seed := range uint64(200) {
		p := NewPlan(seed+1, false)
		for trait := range strings.SplitSeq(strings.TrimSuffix(p.Traits.String(), ", "), ", ") {
			seen[p.Mode][trait]++
		}
		assert.Truef(t, p.Faults()[StaleReads] != 0, "seed %d has no stale readings", p.Seed)
	}
	for _, mode := range modes {
		for _, trait := range []string{"strict", "queue", "drains at risk", "hooks", "capacity rebalancing", "weights", "mixed policy", "budgets",
			"units of hardware", "late nodes", "start-up taints", "divided GPUs", "hurried", "unlisted", "killed in the burst"} {
			assert.Truef(t, seen[mode][trait] >= 10, "of 100 seeds in mode %q, %d have %s, want 10 at least", mode, seen[mode][trait], trait)
		}
		got := seen[mode]["weights"]
		assert.Truef(t, got >= 40, "of 100 seeds in mode %q, %d have weights, want about half: zonal plans have none", mode, got)
		assert.Equalf(t, 50, seen[mode]["usual refresh"], "of 100 seeds in mode %q, have the usual refresh, want half", mode)
	}
}

func TestEveryFaultIsOverInTime(t *testing.T) {
	for seed := range uint64(200) {
		overInTime(t, NewPlan(seed, false))
	}
}

func overInTime(t *testing.T, p Plan) {
	assert.Truef(t, slices.IsSortedFunc(p.Steps, func(a, b Step) int { return int(a.At - b.At) }),
		"seed %d: steps are not in order:\n%s", p.Seed, p)
	for _, s := range p.Steps {
		assert.Truef(t, s.At >= 0 && s.At < Length && s.At+s.For <= Length, "seed %d: not within %s: %s", p.Seed, Length, s)
	}
}

// Pools without capacity are remembered for minutes, so a plan in which a workload had none left could not converge in time.
func TestEveryLackLeavesEachWorkloadAPool(t *testing.T) {
	for _, traits := range []Traits{{}, {Weights: true}, {Mixed: true}, {Units: "vcpu"}, {Divided: true}, {Weights: true, Mixed: true}} {
		leavesEachWorkloadAPool(t, account(Plan{Traits: traits}))
	}
}

func leavesEachWorkloadAPool(t *testing.T, config fakeaws.Config) {
	for _, lack := range shortages {
		left := map[string]bool{}
		for _, g := range config.AutoScalingGroups {
			for _, pool := range pools(g) {
				if !lacks(lack, pool) {
					left[g.NodeLabels[poolLabel]] = true
				}
			}
		}
		delete(left, partPods) // its group keeps the node that it has
		want := map[string]bool{webPods: true, gpuPods: true}
		assert.Truef(t, cmp.Equal(left, want), "lack of %+v leaves capacity to %v, want %v", lack, left, want)
	}
}

// pools are the pools a group of the account launches in, each as the Shortage that covers nothing else.
func pools(g fakeaws.AutoScalingGroup) (all []fakeaws.Shortage) {
	types, capacity := []string{"m5.large"}, "on-demand"
	if g.NodeLabels[poolLabel] == gpuPods {
		types = []string{"g4dn.xlarge"}
	}
	if g.MixedInstancesPolicy != nil {
		types, capacity = nil, "spot"
		for _, o := range g.MixedInstancesPolicy.Overrides {
			if types = append(types, o.InstanceType); o.Requirements != nil {
				types = append(types[:len(types)-1], o.Requirements.AllowedInstanceTypes...)
			}
		}
	}
	for _, zone := range g.Zones {
		for _, name := range types {
			all = append(all, fakeaws.Shortage{InstanceType: name, Zone: zone, CapacityType: capacity})
		}
	}
	return all
}

func lacks(lack, pool fakeaws.Shortage) bool {
	return (lack.InstanceType == "" || lack.InstanceType == pool.InstanceType) && (lack.Zone == "" || lack.Zone == pool.Zone) &&
		(lack.CapacityType == "" || lack.CapacityType == pool.CapacityType)
}

func TestAllowancesGrowWithWhatIsRemembered(t *testing.T) {
	zoneOut := []Step{{Kind: ZoneOut, Shortage: &fakeaws.Shortage{Zone: zoneC}}}
	for _, tt := range []struct {
		name string
		plan Plan
		want time.Duration
	}{
		{name: "a reading each second", plan: Plan{}, want: 30 * time.Second},
		{name: "a crash", plan: Plan{Steps: []Step{{Kind: Crash}}}, want: 90 * time.Second},
		{name: "late nodes", plan: Plan{Traits: Traits{LateNodes: true}}, want: 45 * time.Second},
		{name: "a start-up taint, a crash and a deleted node", plan: Plan{Traits: Traits{StartupTaints: true}, Steps: []Step{{Kind: Crash}, {Kind: UserDeletes}}},
			want: 2 * time.Minute},
		{name: "hooks", plan: Plan{Traits: Traits{Hooks: true}}, want: time.Minute},
		{name: "hooks and a reading each minute", plan: Plan{Traits: Traits{Hooks: true, UsualRefresh: true}}, want: 150 * time.Second},
		{name: "a reading each minute", plan: Plan{Traits: Traits{UsualRefresh: true}}, want: 2 * time.Minute},
		{name: "an instance refresh", plan: Plan{Steps: []Step{{Kind: Moves, Deed: &fakeaws.Deed{Kind: fakeaws.Refresh}}}}, want: 190 * time.Second},
		{name: "a zone that was out, and a new start", plan: Plan{Zonal: true, Seed: 3, Steps: zoneOut}, want: 150 * time.Second},
		{name: "a zone that was out, and none", plan: Plan{Zonal: true, Seed: 4, Steps: zoneOut}, want: 4 * time.Minute},
	} {
		assert.Equalf(t, tt.want, tt.plan.Allowance(), "%s: allowance", tt.name)
	}
}

func TestAccountOfEveryPlanTakesItsSteps(t *testing.T) {
	for seed := range uint64(20) {
		for _, p := range []Plan{NewPlan(seed, false), NewPlan(seed, true)} {
			aws, err := fakeaws.Start(t.Context(), account(p))
			require.NoErrorf(t, err, "seed %d", seed)
			r := &run{plan: p, aws: aws}
			for _, s := range p.Steps {
				if s.Deed != nil {
					err = aws.Do(*s.Deed)
				}
				if s.Kind == Garbage {
					err = r.litter(s)
				}
				assert.NoErrorf(t, err, "seed %d: %s", seed, s)
			}
			assert.NoError(t, aws.Close())
		}
	}
}

func TestAnnouncementMeetsAnInstanceInService(t *testing.T) {
	group := func(name, state string) fakeaws.GroupState {
		return fakeaws.GroupState{Name: name, Instances: []fakeaws.InstanceState{{State: state}}}
	}
	groups := []fakeaws.GroupState{group("gpu-od", "InService"), group(dividedGroup, "InService"), group("web-a", "InService"), group("web-b", "Pending"), {Name: "web-spot"}}
	for of, want := range map[string]string{"web-a": "web-a", "web-b": "gpu-od", "web-spot": "gpu-od", "gpu-spot": "gpu-od", dividedGroup: "web-a"} {
		assert.Equalf(t, want, announced(fakeaws.Deed{Group: of}, groups).Group, "group of an announcement about %q", of)
	}
	assert.Equal(t, "web-spot", announced(fakeaws.Deed{Group: "web-spot"}, groups[3:]).Group, "group of an announcement without any instance in service")
}

func TestWeightsOfAGroupDiffer(t *testing.T) {
	for _, g := range account(Plan{Traits: Traits{Weights: true}}).AutoScalingGroups {
		if g.MixedInstancesPolicy == nil {
			continue
		}
		seen := map[int]bool{}
		for _, o := range g.MixedInstancesPolicy.Overrides {
			seen[weightOf(g, o.InstanceType)] = true
		}
		assert.Truef(t, len(seen) >= 2 && !seen[0] && lightest(g) == 2,
			"weights of %q = %v, the least %d; want two, the least 2", g.Name, seen, lightest(g))
	}
}

func TestUnitsOfHardwareCountTypesApart(t *testing.T) {
	for unit, want := range map[string][2]int{"vcpu": {2, 4}, "memory-mib": {8192, 16384}} {
		g := byName(account(Plan{Traits: Traits{Units: unit, Weights: true}}))[mixedGroup]
		if got := [2]int{lightest(g), weightOf(g, "m5.xlarge")}; got != want || weightOf(g, "m4.large") != want[0] {
			t.Errorf("in %s the least instance counts %d and the largest %d, want %v", unit, got[0], got[1], want)
		}
	}
}

// plainPlans is the hash of the first 200 plans, with the accounts and flags that they run with. It may change only where plans that
// are not zonal are meant to.
const plainPlans = "bd591df4fe5e4c9cdb5ecff7a10fb68978cc5f0c4bf3bca7ce0fe0b0e0417f56"

func TestPlainPlansStayTheSame(t *testing.T) {
	hash := sha256.New()
	for seed := range uint64(200) {
		p := NewPlan(seed+1, false)
		world, err := json.Marshal(account(p))
		require.NoError(t, err)
		fmt.Fprintf(hash, "%s%s%q\n", p, world, flags(p))
	}
	got := fmt.Sprintf("%x", hash.Sum(nil))
	assert.Truef(t, got == plainPlans, "hash of the plans = %s, want %s", got, plainPlans)
}

func TestSeedGivesTheSameZonalPlan(t *testing.T) {
	for seed := range uint64(50) {
		assert.Emptyf(t, cmp.Diff(NewPlan(seed, true), NewPlan(seed, true)), "seed %d (-first +second)", seed)
	}
}

func TestEveryZonalFaultIsOverInTime(t *testing.T) {
	for seed := range uint64(200) {
		overInTime(t, NewPlan(seed, true))
	}
}

func TestTwentyZonalPlansCoverEveryZonalFault(t *testing.T) {
	faults, anew := map[Kind]int{}, 0
	for seed := range uint64(20) {
		p := NewPlan(seed+1, true)
		for kind, n := range p.Faults() {
			faults[kind] += n
		}
		if p.startsAnew() {
			anew++
		}
		for _, app := range []string{diskPods, pinnedPods, evenPods} {
			assert.Truef(t, p.Wanted()[app] != 0, "seed %d wants no pod of %q in the end", p.Seed, app)
		}
	}
	for _, kind := range []Kind{LaunchRefused, ZoneOut, Rebalancing, ZonalTag} {
		assert.Truef(t, faults[kind] >= 5, "%d steps of the kind %q, want some", faults[kind], kind)
	}
	assert.Truef(t, anew >= 5 && anew != 20, "%d of 20 plans end with a new start, want some and not all", anew)
}

func TestZonalPlansHaveOnlyZonalGroups(t *testing.T) {
	config := account(Plan{Zonal: true})
	for _, g := range config.AutoScalingGroups {
		assert.Truef(t, !divided(g) || slices.Contains(g.SuspendedProcesses, rebalance), "AZRebalance of %q is not suspended", g.Name)
	}
	got := len(dividedNames())
	assert.Truef(t, got >= 3, "%d groups have several zones", got)
}

// A pool without capacity is remembered for minutes. A zonal plan in which a workload had no pool left in a zone that its pods
// need could not converge in time, but for the zones that are out as a whole.
func TestEveryZonalLackLeavesPoolsInEachZone(t *testing.T) {
	need := map[string][]string{webPods: zones, dbPool: zones, gpuPods: {""}}
	for _, lack := range zonalShortages {
		left := map[string]bool{}
		for _, g := range account(Plan{Zonal: true}).AutoScalingGroups {
			for _, pool := range pools(g) {
				if !lacks(lack, pool) {
					left[g.NodeLabels[poolLabel]+pool.Zone], left[g.NodeLabels[poolLabel]] = true, true
				}
			}
		}
		for pool, zones := range need {
			for _, zone := range zones {
				assert.Truef(t, left[pool+zone], "lack of %+v leaves no capacity to %q in %q", lack, pool, zone)
			}
		}
	}
}

func TestOnlyLongMemoriesNeedANewStart(t *testing.T) {
	fault := func(action, code string) Step {
		return Step{Kind: APIErrors, Fault: &fakeaws.Fault{Action: action, Code: code}}
	}
	for _, tt := range []struct {
		name string
		step Step
		want bool
	}{
		{name: "launches are denied", step: fault(launchAction, accessDenied), want: true},
		{name: "everything is denied", step: fault("", accessDenied), want: true},
		{name: "readings are denied", step: fault("DescribeAutoScalingGroups", accessDenied)},
		{name: "launches fail", step: fault(launchAction, "InternalFailure"), want: true},
		{name: "everything fails", step: fault("", "InternalFailure")},
		{name: "launches are throttled", step: fault(launchAction, "Throttling")},
		{name: "a zone is out", step: Step{Kind: ZoneOut, Shortage: &fakeaws.Shortage{Zone: zoneC}}, want: true},
		{name: "a zone has no spot capacity", step: Step{Kind: NoCapacity, Shortage: &fakeaws.Shortage{Zone: zoneC, CapacityType: "spot"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, (Plan{Zonal: true, Steps: []Step{tt.step}}).startsAnew(), "starts anew")
			assert.False(t, Plan{Steps: []Step{tt.step}}.startsAnew(), "so does a plan that is not zonal")
		})
	}
}
