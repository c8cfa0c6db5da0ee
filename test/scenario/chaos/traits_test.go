package chaos

import (
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestAccountOfEveryPlanTakesItsSteps(t *testing.T) {
	for seed := range uint64(20) {
		for _, p := range []Plan{NewPlan(seed, false), NewPlan(seed, true)} {
			aws, err := fakeaws.Start(t.Context(), account(p))
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			r := &run{plan: p, aws: aws}
			for _, s := range p.Steps {
				if s.Deed != nil {
					err = aws.Do(*s.Deed)
				}
				if s.Kind == Garbage {
					err = r.litter(s)
				}
				if err != nil {
					t.Errorf("seed %d: %s: %v", seed, s, err)
				}
			}
			if err := aws.Close(); err != nil {
				t.Error(err)
			}
		}
	}
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
		if len(seen) < 2 || seen[0] || lightest(g) != 2 {
			t.Errorf("weights of %q = %v, the least %d; want two, the least 2", g.Name, seen, lightest(g))
		}
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
