package chaos

import (
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
	Moving          bool          `json:"moving,omitempty"`
	Replicas        int           `json:"replicas"`
	Traits          Traits        `json:"traits"`
	Faults          map[Kind]int  `json:"faults"`            // steps of the plan by kind
	Calls           int           `json:"calls"`             // of AWS
	Spoiled         int           `json:"spoiledCalls"`      // calls that a fault hit
	SpoiledRequests int           `json:"spoiledRequests"`   // to the API server, watches that were cut included
	Launched        int           `json:"launched"`          // instances
	Terminated      int           `json:"terminated"`        // of them, by the autoscaler
	Nominations     int           `json:"nominations"`       // written to pods, as the logs say
	Moves           int           `json:"moves,omitempty"`   // drains of nodes that move, as they began
	Resumed         int           `json:"resumed,omitempty"` // moves that waited for their next try once the faults were over
	Reboots         int           `json:"reboots,omitempty"` // of instances
	Kills           int           `json:"killsAtWrites"`     // of the leader
	Limits          limitCounts   `json:"limits"`            // how often each time limit fired
	Allowance       time.Duration `json:"allowanceNanos"`    // for each of the two that follow
	Running         time.Duration `json:"runningNanos"`
	AtRest          time.Duration `json:"atRestNanos"`
	Took            time.Duration `json:"tookNanos"` // the whole run
	Wrongs          Wrongs        `json:"wrongs"`
	Violations      []string      `json:"violations,omitempty"`
	Notes           []string      `json:"notes,omitempty"`   // of a run with moves: what happened when
	Samples         []Sample      `json:"samples,omitempty"` // of a soak
}

// Name is the name of the result's plan.
func (r Result) Name() string { return name(r.Seed, r.Zonal, r.Moving) }

func name(seed uint64, zonal, moving bool) string {
	text := fmt.Sprint(seed)
	if zonal {
		text += "z"
	}
	if moving {
		text += "m"
	}
	return text
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
	Runs, Zonal                                          int
	Weighted                                             int      // or with units of hardware
	Failed                                               []string // names of runs
	Wrongs                                               Wrongs
	Faults                                               map[Kind]int
	Calls, Spoiled, SpoiledRequests, Nominations, Moving int
	Moves, Resumed, Reboots                              int
	Without                                              []string // runs without nominations although instances were launched, and no leader died at a write
	Kills, Hurried                                       int
	Limits                                               limitCounts // of hurried runs
	Silent                                               []string    // limits that never fired, although enough runs were hurried
}

// Summarize sums results up.
func Summarize(results []Result) Summary {
	s := Summary{Runs: len(results), Faults: map[Kind]int{}, Limits: limitCounts{}}
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
		s.Moves += r.Moves
		s.Resumed += r.Resumed
		s.Reboots += r.Reboots
		if r.Moving {
			s.Moving++
		}
		if r.Nominations == 0 && r.Kills == 0 && r.Launched > 0 { // a leader may die at its first one
			s.Without = append(s.Without, r.Name())
		}
		s.Kills += r.Kills
		if r.Traits.Hurried && !r.Moving { // whose crowd is small
			s.Hurried++
			s.Limits.add(r.Limits)
		}
	}
	if s.Hurried >= enoughHurried {
		s.Silent = s.Limits.silent()
	}
	return s
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
	fmt.Fprintf(w, "%d drains for moves begun in %d runs with moves; %d moves resumed once the faults were over; %d reboots\n", s.Moves, s.Moving, s.Resumed, s.Reboots)
	fmt.Fprintf(w, "limits fired in %d hurried runs: %s\n", s.Hurried, s.Limits)
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

// nominated is in the log of each nomination that the API server has acknowledged.
const nominated = "Nominated a node for a pod"

// limitLines are what the log says where a time limit fires, by the name of the limit.
var limitLines = map[string]string{
	"binpacking of a group":    "Capping binpacking after exceeding max duration",
	"binpacking of a scale-up": "due to exceeding maxBinpackingDuration",
	"loop":                     "because --max-nodegroup-binpacking-duration is over",
	"plan":                     "Ended a plan of scale-ups at its time limit",
}

// enoughHurried is the number of hurried runs in which every limit must fire at least once.
const enoughHurried = 3

// limitCounts counts how often limits fired, by name.
type limitCounts map[string]int

// count adds what a log says.
func (c limitCounts) count(log string) {
	for limit, line := range limitLines {
		c[limit] += strings.Count(log, line)
	}
}

func (c limitCounts) add(more limitCounts) {
	for limit, n := range more {
		c[limit] += n
	}
}

// silent returns the limits that never fired.
func (c limitCounts) silent() (names []string) {
	for _, limit := range slices.Sorted(maps.Keys(limitLines)) {
		if c[limit] == 0 {
			names = append(names, limit)
		}
	}
	return names
}

func (c limitCounts) String() string {
	var list []string
	for _, limit := range slices.Sorted(maps.Keys(limitLines)) {
		list = append(list, fmt.Sprintf("%s %d", limit, c[limit]))
	}
	return strings.Join(list, ", ")
}
