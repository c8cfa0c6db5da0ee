package day

import (
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/bound"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// report is the output of -o json. Less is better in all of its figures.
type report struct {
	Version     string             `json:"version"`
	Processors  int                `json:"processors"`
	Minutes     float64            `json:"minutes"`
	Speed       float64            `json:"speed"` // how many times faster than a real day
	Seed        uint64             `json:"seed"`
	Contestants []contestantReport `json:"contestants"`
	Mixes       []*mixReport       `json:"mixes"`
}

type contestantReport struct {
	Name  string   `json:"name"`
	About string   `json:"about"`
	Flags []string `json:"flags"`
}

type mixReport struct {
	Name     string       `json:"name"`
	About    string       `json:"about"`
	Currency string       `json:"currency"`
	Runs     []*runReport `json:"runs"`
}

// runReport is of one contestant. Hours are of the day, seconds of the run.
type runReport struct {
	Contestant string       `json:"contestant"`
	Bill       float64      `json:"billPerHour"`
	Bound      float64      `json:"boundPerHour"`
	Ratio      float64      `json:"ratio"` // of the bill to the bound
	Evictions  int          `json:"evictions"`
	PodHours   float64      `json:"podHours"`
	PerPodHour float64      `json:"evictionsPerPodHour"`
	WaitMedian float64      `json:"waitMedianSeconds"`
	Wait95     float64      `json:"wait95Seconds"`
	WaitMost   float64      `json:"waitMostSeconds"`
	Launched   int          `json:"nodesLaunched"`
	Terminated int          `json:"nodesTerminated"`
	Hours      []hourReport `json:"hours"`
	Error      string       `json:"error,omitempty"`
}

// hourReport has the means of an hour of the day.
type hourReport struct {
	Bill  float64 `json:"bill"`
	Bound float64 `json:"bound"`
	Pods  float64 `json:"runningPods"`
}

func newReport(b *bench, taking []contestant) *report {
	speed := speedOf(b.minutes)
	r := &report{Version: "v1", Processors: runtime.NumCPU(), Minutes: b.minutes, Speed: harness.Round(float64(speed), 10), Seed: b.seed}
	for _, c := range taking {
		r.Contestants = append(r.Contestants, contestantReport{c.name, c.about, append(speed.flags(c.program), c.flags...)})
	}
	return r
}

// figures are those about pods and nodes.
func (r *run) figures(into *runReport) {
	end := time.Now()
	var waits []float64
	for _, p := range r.pods.Pods() {
		if p.Disrupted && p.Gone.After(r.begin) {
			into.Evictions++
		}
		if p.Created.Before(r.begin) {
			continue
		}
		until := end
		for _, at := range []time.Time{p.Gone, p.Running} {
			if !at.IsZero() {
				until = at
			}
		}
		waits = append(waits, until.Sub(p.Created).Seconds())
	}
	slices.Sort(waits)
	into.WaitMedian, into.Wait95, into.WaitMost = quantile(waits, 0.5), quantile(waits, 0.95), quantile(waits, 1)
	running := 0
	for _, s := range r.samples {
		running += s.running
	}
	into.PodHours = harness.Round(float64(running)/float64(max(1, len(r.samples)))*day.Hours(), 10)
	if into.PodHours > 0 {
		into.PerPodHour = harness.Round(float64(into.Evictions)/into.PodHours, 1e5)
	}
	if r.claims != nil {
		for _, c := range r.claims.Seen() {
			into.Launched += since(c.Created, r.begin)
			into.Terminated += since(c.Deleted, r.begin)
		}
		return
	}
	for _, e := range r.env.AWS.Events() {
		switch e.Kind {
		case fakeaws.Launched:
			into.Launched += since(e.Time, r.begin)
		case fakeaws.Terminated:
			into.Terminated += since(e.Time, r.begin)
		}
	}
}

// since is 1 for a time after the other.
func since(at, begin time.Time) int {
	if at.After(begin) {
		return 1
	}
	return 0
}

// quantile is the time that the share q of the sorted times did not exceed.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return harness.Round(sorted[int(q*float64(len(sorted)-1)+0.5)], 1e2)
}

// bounds computes the bound of each sample, once the contestant has ended and its machine is free.
func (r *run) bounds(into *runReport) {
	known := map[string]float64{}
	pods := map[string]*corev1.Pod{}
	for _, pod := range r.real.Pods {
		pods[pod.Labels["app"]] = pod
	}
	var bill, bounds float64
	counts := make([]int, int(day.Hours()))
	into.Hours = make([]hourReport, len(counts))
	for n, s := range r.samples {
		key := fmt.Sprint(s.pods) // maps print in the order of their keys
		if _, ok := known[key]; !ok {
			now := *r.real
			now.Pods = nil
			for _, name := range slices.Sorted(maps.Keys(s.pods)) {
				now.Pods = append(now.Pods, slices.Repeat([]*corev1.Pod{pods[name]}, s.pods[name])...)
			}
			known[key] = bound.Of(bound.OfMix(&now))
		}
		bill, bounds = bill+s.bill, bounds+known[key]
		hour := n * len(counts) / len(r.samples)
		counts[hour]++
		into.Hours[hour].Bill += s.bill
		into.Hours[hour].Bound += known[key]
		into.Hours[hour].Pods += float64(s.running)
	}
	for n, count := range counts {
		h := &into.Hours[n]
		count := float64(max(1, count))
		h.Bill, h.Bound, h.Pods = harness.Round(h.Bill/count, 1e4), harness.Round(h.Bound/count, 1e4), harness.Round(h.Pods/count, 10)
	}
	count := float64(len(r.samples))
	into.Bill, into.Bound, into.Ratio = harness.Round(bill/count, 1e4), harness.Round(bounds/count, 1e4), harness.Round(bill/bounds, 1e4)
}

func (r *runReport) String() string {
	if r.Error != "" {
		return "could not be run: " + r.Error
	}
	return fmt.Sprintf("bill %.3f an hour, %.3f of the bound, %d evictions, %.5f a pod-hour, pods wait %.1f s, 95 %% up to %.1f s, at most %.1f s",
		r.Bill, r.Ratio, r.Evictions, r.PerPodHour, r.WaitMedian, r.Wait95, r.WaitMost)
}

// WriteTable prints a line per mix and contestant, and then ours against the targets.
func (r *report) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "a day in %v minutes\t\tbill/h\tbound/h\tratio\tevictions\tpod-hours\ta pod-hour\twait p50\tp95\tmost\tlaunched\tterminated\n", r.Minutes)
	for _, m := range r.Mixes {
		for _, one := range m.Runs {
			fmt.Fprintf(table, "%s\t%s\t", m.Name, one.Contestant)
			if one.Error != "" {
				fmt.Fprintln(table, "could not be run")
				continue
			}
			fmt.Fprintf(table, "%.3f %s\t%.3f\t%.3f\t%d\t%.0f\t%.5f\t%.1f s\t%.1f s\t%.1f s\t%d\t%d\n", one.Bill, m.Currency, one.Bound, one.Ratio,
				one.Evictions, one.PodHours, one.PerPodHour, one.WaitMedian, one.Wait95, one.WaitMost, one.Launched, one.Terminated)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return r.writeTargets(w)
}

// Targets for ours with consolidation on.
const (
	targetRatio     = 1.15
	targetEvictions = 1.0 / 3 // of Karpenter's, at an equal or lower bill
)

// writeTargets compares the runs of ours with each of Karpenter's.
func (r *report) writeTargets(w io.Writer) error {
	is := map[string]program{}
	for _, c := range contestants {
		is[c.name] = c.program
	}
	for _, m := range r.Mixes {
		for _, ours := range m.Runs {
			if is[ours.Contestant] != ourProgram || ours.Error != "" {
				continue
			}
			fmt.Fprintf(w, "%s, %s: bill %.3f of the bound (target with consolidation: %.2f)\n", m.Name, ours.Contestant, ours.Ratio, targetRatio)
			for _, other := range m.Runs {
				if is[other.Contestant] == karpenterProgram && other.Error == "" {
					fmt.Fprintf(w, "%s, %s: bill %.3f of %s's (target: 1), evictions %.5f a pod-hour beside %.5f (target: %.2f of it)\n", m.Name, ours.Contestant,
						ours.Ratio/other.Ratio, other.Contestant, ours.PerPodHour, other.PerPodHour, targetEvictions)
				}
			}
		}
	}
	return nil
}
