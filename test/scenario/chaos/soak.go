package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
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

// A Sample is the state of a soak at one moment.
type Sample struct {
	After      float64 `json:"afterSeconds"`
	Resident   float64 `json:"residentMiB"`
	Heap       float64 `json:"heapMiB"` // in use, garbage included
	Goroutines float64 `json:"goroutines"`
	Wanted     int     `json:"podsWanted"`
	Running    int     `json:"podsRunning"`
	Instances  int     `json:"instances"`
	Calls      int     `json:"callsOfAWS"`    // so far
	Behind     float64 `json:"behindSeconds"` // until the autoscaler's groups were as AWS's
}

const (
	samplesPerDay = 48
	sampleLeast   = 5 * time.Second // between two samples
	// behindMost is how long the autoscaler's groups may differ from AWS's. For a minute after a write, a reading that may be older lowers no desired
	// capacity, and a fault may delay the reading that does.
	behindMost = 90 * time.Second
	// enoughSamples is how many samples it takes to say anything about growth.
	enoughSamples = 24
	// growth is the factor by which memory and goroutines of the last quarter may exceed those of the second.
	growth = 1.2
)

// sample takes samples until ctx ends. Each begins at its time, or as soon as the one before is over.
func (r *run) sample(ctx context.Context) {
	every := max(r.plan.Day/samplesPerDay, sampleLeast)
	for n := 1; ; n++ {
		pause(ctx, time.Duration(n)*every-time.Since(r.began))
		if ctx.Err() != nil {
			return
		}
		if s, err := r.takeSample(ctx); err == nil {
			r.samples = append(r.samples, s)
		} else if ctx.Err() == nil && !r.front.troubled(excused) {
			r.fault(fmt.Errorf("sample after %s: %w", time.Since(r.began).Round(time.Second), err))
		}
	}
}

func (r *run) takeSample(ctx context.Context) (Sample, error) {
	one := r.replicas[0].running()
	if one == nil {
		return Sample{}, fmt.Errorf("replica %s does not run", r.replicas[0].name)
	}
	metrics, err := one.Metrics(ctx)
	if err != nil {
		return Sample{}, err
	}
	s := Sample{After: time.Since(r.began).Seconds(), Resident: gauge(metrics["process_resident_memory_bytes"]) / (1 << 20),
		Heap: gauge(metrics["go_memstats_heap_inuse_bytes"]) / (1 << 20), Goroutines: gauge(metrics["go_goroutines"]), Calls: len(r.aws.CallLog())}
	for _, g := range r.aws.Groups() {
		s.Instances += len(g.Instances)
	}
	s.Wanted, s.Running, err = r.podCount(ctx)
	if err != nil {
		return s, err
	}
	behind, late := converged(ctx, behindMost, 0, func(ctx context.Context) (string, error) { return r.differs(ctx, one) })
	if late != nil && ctx.Err() == nil {
		r.violated("drift: the autoscaler's groups are not as AWS's: %v", late)
	}
	s.Behind = behind.Seconds()
	return s, nil
}

func gauge(family *dto.MetricFamily) float64 {
	for _, m := range family.GetMetric() {
		return m.GetGauge().GetValue()
	}
	return 0
}

// differs names the groups whose sizes in the autoscaler's report are not AWS's at the moment.
func (r *run) differs(ctx context.Context, one *scenario.Autoscaler) (difference string, err error) {
	report, err := reportOf(ctx, one)
	if err != nil {
		return err.Error(), nil // it may be too busy to answer
	}
	known := map[string]decision.Group{}
	for _, g := range report.Groups {
		known[g.AutoScaling] = g
	}
	for _, want := range r.aws.Groups() {
		got, found := known[want.Name]
		if !found || got.Desired != want.Desired || got.Min != want.Min || got.Max != want.Max {
			difference += fmt.Sprintf("group %q has sizes %d, %d and %d, and %d, %d and %d for the autoscaler; ", want.Name,
				want.Min, want.Desired, want.Max, got.Min, got.Desired, got.Max)
		}
	}
	return difference, nil
}

func reportOf(ctx context.Context, one *scenario.Autoscaler) (*decision.Report, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+one.Address+"/status.json", nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var report decision.Report
	return &report, json.NewDecoder(response.Body).Decode(&report)
}

// flat judges whether memory and goroutines grew over the day. The load of its second and its last quarter is the same.
func (r *run) flat() {
	day := r.plan.Day.Seconds()
	within := func(from, to float64, of func(Sample) float64) (list []float64) {
		for _, s := range r.samples {
			if s.After > from*day && s.After <= to*day {
				list = append(list, of(s))
			}
		}
		slices.Sort(list)
		return list
	}
	if len(within(0, 1, func(s Sample) float64 { return s.After })) < enoughSamples { // others are from after the day
		return
	}
	for what, of := range map[string]func(Sample) float64{
		"resident memory": func(s Sample) float64 { return s.Resident },
		"goroutines":      func(s Sample) float64 { return s.Goroutines },
	} {
		early, late := within(0.25, 0.5, of), within(0.75, 1, of)
		if before, after := early[len(early)/2], late[len(late)/2]; after > growth*before {
			r.violated("growth: %s of the last quarter is %.0f, after %.0f in the second", what, after, before)
		}
	}
}

// PrintSamples writes the samples for a reader.
func PrintSamples(w io.Writer, samples []Sample) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, strings.Join([]string{"after", "RSS, MiB", "heap, MiB", "goroutines", "pods wanted", "running", "instances", "AWS calls", "behind, s", ""}, "\t"))
	for _, s := range samples {
		fmt.Fprintf(table, "%s\t%.0f\t%.0f\t%.0f\t%d\t%d\t%d\t%d\t%.1f\t\n", time.Duration(s.After)*time.Second, s.Resident, s.Heap, s.Goroutines,
			s.Wanted, s.Running, s.Instances, s.Calls, s.Behind)
	}
	return table.Flush()
}
