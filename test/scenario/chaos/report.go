package chaos

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Result is the outcome of one run.
type Result struct {
	Seed            uint64        `json:"seed"`
	Mode            string        `json:"mode"`
	Zonal           bool          `json:"zonal,omitempty"`
	Replicas        int           `json:"replicas"`
	Traits          Traits        `json:"traits"`
	Faults          map[Kind]int  `json:"faults"`          // steps of the plan by kind
	Calls           int           `json:"calls"`           // of AWS
	Spoiled         int           `json:"spoiledCalls"`    // calls that a fault hit
	SpoiledRequests int           `json:"spoiledRequests"` // to the API server, watches that were cut included
	Launched        int           `json:"launched"`        // instances
	Terminated      int           `json:"terminated"`      // of them, by the autoscaler
	Nominations     int           `json:"nominations"`     // written to pods, as the logs say
	Kills           int           `json:"killsAtWrites"`   // of the leader
	Limits          limitCounts   `json:"limits"`          // how often each time limit fired
	Allowance       time.Duration `json:"allowanceNanos"`  // for each of the two that follow
	Running         time.Duration `json:"runningNanos"`
	AtRest          time.Duration `json:"atRestNanos"`
	Took            time.Duration `json:"tookNanos"` // the whole run
	Wrongs          Wrongs        `json:"wrongs"`
	Violations      []string      `json:"violations,omitempty"`
	Samples         []Sample      `json:"samples,omitempty"` // of a soak
}

// Name is the name of the result's plan.
func (r Result) Name() string { return name(r.Seed, r.Zonal) }

func name(seed uint64, zonal bool) string {
	if zonal {
		return fmt.Sprintf("%dz", seed)
	}
	return fmt.Sprint(seed)
}

// Header is the first line of a table of results.
const Header = "seed   mode              replicas  faults  calls (spoiled)  launched  terminated  pods run  at rest  allowed  verdict"

// String is the result as a line of that table.
func (r Result) String() string {
	faults := 0
	for _, n := range r.Faults {
		faults += n
	}
	verdict := "ok"
	if len(r.Violations) > 0 {
		verdict = "FAILED: " + strings.Join(r.Violations, "\n         ")
	}
	return fmt.Sprintf("%-6s %-17s %8d  %6d  %5d %9s  %8d  %10d  %7.1fs  %6.1fs  %6.0fs  %s", r.Name(), r.Mode, r.Replicas, faults,
		r.Calls, fmt.Sprintf("(%d)", r.Spoiled), r.Launched, r.Terminated, r.Running.Seconds(), r.AtRest.Seconds(), r.Allowance.Seconds(), verdict)
}

// Summary is the outcome of many runs.
type Summary struct {
	Version         string       `json:"version"`
	Runs            int          `json:"runs"`
	Zonal           int          `json:"zonalRuns"`
	Weighted        int          `json:"runsWithWeights"` // or with units of hardware
	Failed          []string     `json:"failed"`          // names of runs
	Wrongs          Wrongs       `json:"wrongs"`
	Faults          map[Kind]int `json:"faults"`
	Calls           int          `json:"calls"`
	Spoiled         int          `json:"spoiledCalls"`
	SpoiledRequests int          `json:"spoiledRequests"`
	Nominations     int          `json:"nominations"`
	Without         []string     `json:"runsWithoutNominations"` // although instances were launched, and no leader died at a write
	Kills           int          `json:"killsAtWrites"`
	Hurried         int          `json:"hurriedRuns"`
	Limits          limitCounts  `json:"limits"`     // of hurried runs
	Silent          []string     `json:"silent"`     // limits that never fired, although enough runs were hurried
	Recoveries      []Recovery   `json:"recoveries"` // by allowance, the shortest first
	Results         []Result     `json:"results"`
}

// Recovery is how long runs with the same allowance took to recover.
type Recovery struct {
	Allowance float64 `json:"allowanceSeconds"`
	Runs      int     `json:"runs"`
	Running   Spread  `json:"podsRunSeconds"` // from the end of the last fault until every wanted pod runs
	AtRest    Spread  `json:"atRestSeconds"`  // from when no pod is wanted until the account costs the least
	Slowest   string  `json:"slowest"`        // name of a run
}

// Spread is how a time is distributed, in seconds.
type Spread struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// Summarize sums results up.
func Summarize(results []Result) Summary {
	s := Summary{Version: "v4", Runs: len(results), Failed: []string{}, Without: []string{}, Silent: []string{}, Faults: map[Kind]int{},
		Limits: limitCounts{}, Results: results}
	allowed := map[time.Duration][]Result{}
	for _, r := range results {
		if len(r.Violations) > 0 {
			s.Failed = append(s.Failed, r.Name())
		}
		if r.Zonal {
			s.Zonal++
		}
		if r.Traits.Weights || r.Traits.Units != "" {
			s.Weighted++
		}
		for kind, n := range r.Faults {
			s.Faults[kind] += n
		}
		s.Wrongs.add(r.Wrongs)
		s.Calls += r.Calls
		s.Spoiled += r.Spoiled
		s.SpoiledRequests += r.SpoiledRequests
		s.Nominations += r.Nominations
		if r.Nominations == 0 && r.Kills == 0 && r.Launched > 0 { // a leader may die at its first one
			s.Without = append(s.Without, r.Name())
		}
		s.Kills += r.Kills
		if r.Traits.Hurried {
			s.Hurried++
			s.Limits.add(r.Limits)
		}
		allowed[r.Allowance] = append(allowed[r.Allowance], r)
	}
	if s.Hurried >= enoughHurried {
		s.Silent = append(s.Silent, s.Limits.silent()...)
	}
	for _, allowance := range slices.Sorted(maps.Keys(allowed)) {
		s.Recoveries = append(s.Recoveries, recovery(allowance, allowed[allowance]))
	}
	return s
}

func recovery(allowance time.Duration, results []Result) Recovery {
	var running, atRest []time.Duration
	for _, r := range results {
		running = append(running, r.Running)
		atRest = append(atRest, r.AtRest)
	}
	slowest := slices.MaxFunc(results, func(a, b Result) int { return cmp.Compare(max(a.Running, a.AtRest), max(b.Running, b.AtRest)) })
	return Recovery{
		Allowance: allowance.Seconds(), Runs: len(results), Running: spread(running), AtRest: spread(atRest), Slowest: slowest.Name(),
	}
}

// spread takes the value at or above which a share of the times lies, by rank.
func spread(times []time.Duration) Spread {
	if len(times) == 0 {
		return Spread{}
	}
	slices.Sort(times)
	at := func(percent int) float64 { return times[(len(times)*percent+99)/100-1].Seconds() }
	return Spread{P50: at(50), P99: at(99), Max: times[len(times)-1].Seconds()}
}

// Print writes the summary for a reader.
func (s Summary) Print(w io.Writer) {
	defer s.printWrongs(w)
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	all := 0
	for _, kind := range slices.Sorted(maps.Keys(s.Faults)) {
		fmt.Fprintf(table, "  %s\t%d\n", kind, s.Faults[kind])
		all += s.Faults[kind]
	}
	fmt.Fprintf(table, "  faults in all\t%d\n", all)
	_ = table.Flush()
	fmt.Fprintf(w, "%d AWS calls, %d of them spoiled; %d requests to the API server spoiled\n", s.Calls, s.Spoiled, s.SpoiledRequests)
	fmt.Fprintf(w, "%d leaders killed at a write; %d nominations written, runs without one: %v\n", s.Kills, s.Nominations, s.Without)
	fmt.Fprintf(w, "limits fired in %d hurried runs: %s\n", s.Hurried, s.Limits)
	for _, r := range s.Recoveries {
		fmt.Fprintf(w, "%d runs that are allowed %.0f s, %s the slowest:\n", r.Runs, r.Allowance, r.Slowest)
		fmt.Fprintf(w, "  until every wanted pod runs: p50 %.1f s, p99 %.1f s, at most %.1f s\n", r.Running.P50, r.Running.P99, r.Running.Max)
		fmt.Fprintf(w, "  until the spend is at its minimum: p50 %.1f s, p99 %.1f s, at most %.1f s\n", r.AtRest.P50, r.AtRest.P99, r.AtRest.Max)
	}
}

// printWrongs writes the table by which runs are judged.
func (s Summary) printWrongs(w io.Writer) {
	fmt.Fprintf(w, "\n%d runs, %d of them zonal, %d with weights or units of hardware; %d failed %v\n", s.Runs, s.Zonal, s.Weighted, len(s.Failed), s.Failed)
	if len(s.Silent) > 0 {
		fmt.Fprintf(w, "FAILED: limits that never fired, although %d runs were hurried: %s\n", s.Hurried, strings.Join(s.Silent, ", "))
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range []struct {
		what  string
		count int
	}{
		{"undrained nodes lost", s.Wrongs.Lost}, {"stalls", s.Wrongs.Stalls}, {"double launches", s.Wrongs.Doubles},
		{"nodes cordoned after 60 s", s.Wrongs.Cordoned}, {"surplus nodes asked for", s.Wrongs.Surplus}, {"ended nodes reused", s.Wrongs.Reused},
		{"lowered below the members", s.Wrongs.Lowered}, {"other violations", s.Wrongs.Others},
		{"races with other writers (no fault)", s.Wrongs.Raced},
	} {
		fmt.Fprintf(table, "  %s\t%d\n", row.what, row.count)
	}
	_ = table.Flush()
}
