package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

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
	if len(r.samples) < enoughSamples {
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
