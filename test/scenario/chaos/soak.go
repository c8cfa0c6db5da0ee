package chaos

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

const (
	hours = 24 // of a day
	// changes is how often an hour the load changes.
	changes = 4
	// hourFaults is how many faults of AWS and of the cluster an hour has.
	hourFaults = 2
	// usualHour is how long an hour takes where faults last as long as in other plans.
	usualHour = 25 * time.Second
)

// NewSoakPlan makes the plan of a day that takes so long. Load has two peaks, a version of each workload is rolled out every six hours, EC2 takes
// instances back every two hours, with a warning or without one in turns, and two faults happen each hour. No step ends the one replica, and none keeps it from
// renewing its lease for long, so its memory can be compared over the whole day.
func NewSoakPlan(seed uint64, day time.Duration) Plan {
	r := rand.New(rand.NewPCG(seed, 0x50a4))
	p := Plan{Seed: seed, Mode: modes[0], Replicas: 1, Day: day, Traits: Traits{Queue: true},
		Delays: fakeaws.Delays{Listed: between(r, 100*time.Millisecond, 500*time.Millisecond), InService: between(r, 500*time.Millisecond, 1500*time.Millisecond),
			Register: between(r, time.Second, 2500*time.Millisecond), GPU: between(r, 100*time.Millisecond, time.Second), Terminate: between(r, 200*time.Millisecond, time.Second)}}
	d, hour := newDraft(r, p), day/hours
	for n := range hours * changes {
		at := time.Duration(n) * hour / changes
		p.Steps = append(p.Steps, Step{At: at, Kind: Pods, Target: webPods, Count: load(n, 4, 24) + r.IntN(3)},
			Step{At: at, Kind: Pods, Target: gpuPods, Count: load(n, 0, 4)})
	}
	kinds := append(d.ofCalls(), d.noCapacity, d.stale, d.clock, d.foreignDesired, d.moves, d.dyingLaunches, d.notReady, d.apiRefuses, d.apiHangs, d.apiCuts)
	for n := range hours {
		within := func(s Step) {
			s.At = time.Duration(n)*hour + time.Duration(r.Int64N(int64(hour)))
			if s.API == nil {
				s.For = max(s.For, time.Duration(float64(s.For)*float64(hour)/float64(usualHour)))
			}
			s.For = min(s.For, hour, day-s.At)
			p.Steps = append(p.Steps, s)
		}
		switch n % 4 { // with an hour between them, because EC2 does not take an instance early that it has warned of
		case 0:
			warned := d.interruption()
			warned.Deed.Notice = min(warned.Deed.Notice, fakeaws.Duration(hour))
			within(warned)
		case 2:
			within(d.reclaim())
		}
		for range hourFaults {
			within(pick(r, kinds)())
		}
		if n%6 == 0 {
			within(Step{Kind: Rollout, Target: webPods})
			within(Step{Kind: Rollout, Target: gpuPods})
		}
	}
	slices.SortStableFunc(p.Steps, func(a, b Step) int { return int(a.At - b.At) })
	return p
}

// load is the number of pods at the n-th change of a day. Its peaks are at six and at eighteen o'clock.
func load(n, least, most int) int {
	angle := 4 * math.Pi * float64(n) / (hours * changes)
	return least + int(math.Round(float64(most-least)*(1-math.Cos(angle))/2))
}
