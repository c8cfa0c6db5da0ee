package chaos

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// plainPlans is the hash of the first 200 plans, with the accounts and flags that they run with. It may change only where plans that
// are not zonal are meant to.
const plainPlans = "7fcca06a292bf7d1b88203a50cb5236352e8c0688477318abb7159736b8b4ea0"

func TestPlainPlansStayTheSame(t *testing.T) {
	hash := sha256.New()
	for seed := range uint64(200) {
		p := NewPlan(seed+1, false)
		world, err := json.Marshal(account(p))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(hash, "%s%s%q\n", p, world, flags(p))
	}
	if got := fmt.Sprintf("%x", hash.Sum(nil)); got != plainPlans {
		t.Errorf("hash of the plans = %s, want %s", got, plainPlans)
	}
}

func TestSeedGivesTheSameZonalPlan(t *testing.T) {
	for seed := range uint64(50) {
		if diff := cmp.Diff(NewPlan(seed, true), NewPlan(seed, true)); diff != "" {
			t.Errorf("seed %d (-first +second):\n%s", seed, diff)
		}
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
			if p.Wanted()[app] == 0 {
				t.Errorf("seed %d wants no pod of %q in the end", p.Seed, app)
			}
		}
	}
	for _, kind := range []Kind{LaunchRefused, ZoneOut, Rebalancing, ZonalTag} {
		if faults[kind] < 5 {
			t.Errorf("%d steps of the kind %q, want some", faults[kind], kind)
		}
	}
	if anew < 5 || anew == 20 {
		t.Errorf("%d of 20 plans end with a new start, want some and not all", anew)
	}
}

func TestZonalPlansHaveOnlyZonalGroups(t *testing.T) {
	config := account(Plan{Zonal: true})
	for _, g := range config.AutoScalingGroups {
		if divided(g) && !slices.Contains(g.SuspendedProcesses, rebalance) {
			t.Errorf("AZRebalance of %q is not suspended", g.Name)
		}
	}
	if got := len(dividedNames()); got < 3 {
		t.Errorf("%d groups have several zones", got)
	}
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
				if !left[pool+zone] {
					t.Errorf("lack of %+v leaves no capacity to %q in %q", lack, pool, zone)
				}
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
			if got := (Plan{Zonal: true, Steps: []Step{tt.step}}).startsAnew(); got != tt.want {
				t.Errorf("starts anew = %t, want %t", got, tt.want)
			}
			if (Plan{Steps: []Step{tt.step}}).startsAnew() {
				t.Error("so does a plan that is not zonal")
			}
		})
	}
}
