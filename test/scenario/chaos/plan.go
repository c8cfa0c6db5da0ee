package chaos

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// Length is how long faults happen. Faults that are not over then are ended.
const Length = 12 * time.Second

// The launch modes that plans take turns with from seed to seed. In both of the zonal ones a launch can be in a zone.
var (
	modes      = []string{"auto", "desired-capacity"}
	zonalModes = []string{"auto", "synchronous"}
)

// A Plan fixes the events of one run.
type Plan struct {
	Seed     uint64         `json:"seed"`
	Mode     string         `json:"mode"`            // --asg-launch-mode
	Replicas int            `json:"replicas"`        // of the autoscaler
	Zonal    bool           `json:"zonal,omitempty"` // groups of several zones are scaled zone by zone
	Traits   Traits         `json:"traits"`
	Delays   fakeaws.Delays `json:"delays"`
	Steps    []Step         `json:"steps"` // by time

	Moving *Moving `json:"moving,omitempty"` // nodes are replaced, nil for none

	Day time.Duration `json:"day,omitempty"` // how long a soak's day takes, 0 for other plans
}

// Name is the plan's seed, with a z behind it if the plan is zonal, and an m if nodes move.
func (p Plan) Name() string { return name(p.Seed, p.Zonal, p.Moving != nil) }

// length is how long faults happen.
func (p Plan) length() time.Duration {
	if p.Moving != nil {
		return longer(Length, lateness)
	}
	return cmp.Or(p.Day, Length)
}

// Kind names the event of a Step.
type Kind string

// The kinds of Step, with the fields that count beside At and For.
const (
	Pods           Kind = "pods"            // the workload Target is scaled to Count
	APIErrors      Kind = "api errors"      // Fault
	Throttling     Kind = "throttling"      // Fault
	Latency        Kind = "latency"         // Fault
	HangingLaunch  Kind = "hanging launch"  // Fault: a launch takes effect, and its answer comes late, or after the caller has given up
	Truncated      Kind = "truncated"       // Fault
	Garbled        Kind = "garbled"         // Fault
	LostAnswers    Kind = "lost answers"    // Fault
	LateErrors     Kind = "late errors"     // Fault: the call takes effect and fails
	NoCapacity     Kind = "no capacity"     // Shortage
	StaleReads     Kind = "stale reads"     // readings are up to Shift old, and with Worst each one after a write is
	ClockJump      Kind = "clock jump"      // AWS's clock is ahead by Shift
	Reclaim        Kind = "reclaim"         // Deed
	Recreate       Kind = "group recreated" // Deed
	ForeignDesired Kind = "foreign desired" // Deed
	ForeignMinimum Kind = "foreign minimum" // the minimum of the group Target is Count
	Moves          Kind = "moves"           // Deed: zones are rebalanced, instances refreshed
	TagsChanged    Kind = "tags changed"    // Tags of the group Target, put back at the end
	NeverJoins     Kind = "never joins"     // instances of the group Target that are launched meanwhile do not become nodes
	NotReady       Kind = "not ready"       // Count nodes, from the Pick-th by name
	KillReplica    Kind = "kill -9"         // of the leader, or of the other replica if Target says so, back after For
	StopReplica    Kind = "stop"            // the same by SIGTERM
	PauseReplica   Kind = "pause"           // the same by SIGSTOP
	StealLease     Kind = "lease stolen"    // the lease is somebody else's, until it runs out

	PartialBatch    Kind = "partial batch"    // Fault: a part of a batch is done, and the rest passed over
	ActionThrottled Kind = "action throttled" // Fault: one action is throttled, and no other
	DyingLaunches   Kind = "dying launches"   // Shortage: instances are launched and die
	RootVolume      Kind = "root volume"      // Deed: Auto Scaling replaces the root volume of some instances

	APIRefuses Kind = "api server refuses" // API: the API server answers some requests with errors
	APIHangs   Kind = "api server hangs"   // API: it answers some not at all
	APICuts    Kind = "watches cut"        // API: all watches break
	Crash      Kind = "crash"              // the control plane's program Target is killed with kill -9 and started again

	// Only plans with an interruption queue have these. They are about another group if the Deed's has no instance in service.
	Interruption   Kind = "interruption"    // Deed: warned of, and then done
	Recommendation Kind = "recommendation"  // Deed: to rebalance
	Maintenance    Kind = "maintenance"     // Deed: scheduled by EC2
	Garbage        Kind = "garbage message" // Count messages, from the Pick-th, that nobody should send
)

// Rollout replaces all pods of the workload Target, as a new version does. Only soaks have it.
const Rollout Kind = "rollout"

// The kinds of Step that only zonal plans have.
const (
	LaunchRefused Kind = "launch refused"      // Fault: nobody may call LaunchInstances
	ZoneOut       Kind = "zone out"            // Shortage: a zone has no capacity at all
	Rebalancing   Kind = "rebalancing resumed" // AWS may move instances of the group Target between zones, and does
	ZonalTag      Kind = "zonal tag"           // Tags keep the group Target from being scaled zone by zone, put back at the end
)

// Targets of steps about replicas.
const (
	leader  = "leader"
	standby = "standby"
)

// A Step is one event At a time, which ends For later if it lasts.
type Step struct {
	At   time.Duration `json:"at"`
	For  time.Duration `json:"for,omitempty"`
	Kind Kind          `json:"kind"`

	Target   string             `json:"target,omitempty"`
	Count    int                `json:"count,omitempty"`
	Pick     int                `json:"pick,omitempty"`
	Down     time.Duration      `json:"down,omitempty"`
	Shift    fakeaws.Duration   `json:"shift,omitempty"`
	Worst    bool               `json:"worst,omitempty"`
	Tags     map[string]*string `json:"tags,omitempty"`
	Fault    *fakeaws.Fault     `json:"fault,omitempty"`
	Shortage *fakeaws.Shortage  `json:"shortage,omitempty"`
	Deed     *fakeaws.Deed      `json:"deed,omitempty"`
	API      *APIFault          `json:"api,omitempty"`
}

// String is the step on one line.
func (s Step) String() string {
	line := fmt.Sprintf("%5.1fs  %-16s", s.At.Seconds(), s.Kind)
	if s.For > 0 {
		line += fmt.Sprintf(" for %.1fs", s.For.Seconds())
	}
	s.At, s.For, s.Kind = 0, 0, ""
	if detail, err := json.Marshal(s); err == nil {
		line += " " + strings.NewReplacer(`"at":0,`, "", `"kind":"",`, "", `"kind":""`, "").Replace(string(detail))
	}
	return line
}

// String is the plan for a reader.
func (p Plan) String() string {
	delays, _ := json.Marshal(p.Delays)
	zonal := ""
	if p.Zonal {
		zonal = "zonal views, "
	}
	text := fmt.Sprintf("seed %d: launch mode %q, %s%d replica(s), %sdelays %s\n", p.Seed, p.Mode, zonal, p.Replicas, p.Traits, delays)
	if p.Moving != nil {
		moving, _ := json.Marshal(p.Moving)
		text += fmt.Sprintf("nodes move: %s\n", moving)
	}
	for _, s := range p.Steps {
		text += s.String() + "\n"
	}
	return text
}

// Wanted is how many pods of each workload the plan wants in the end.
func (p Plan) Wanted() map[string]int {
	wanted := map[string]int{}
	for _, s := range p.Steps {
		if s.Kind == Pods {
			wanted[s.Target] = s.Count
		}
	}
	return wanted
}

// Faults counts the steps by kind, without steps that only want pods.
func (p Plan) Faults() map[Kind]int {
	counts := map[Kind]int{}
	for _, s := range p.Steps {
		if s.Kind != Pods && s.Kind != Rollout {
			counts[s.Kind]++
		}
	}
	return counts
}

// Numbers of faults of a plan: so many that spoil calls, and so many of any kind, at least and at most.
const (
	callFaults  = 3
	leastFaults = 5
	mostFaults  = 12
)

// NewPlan makes the plan of a seed. Launch modes and numbers of replicas take turns from seed to seed. A zonal plan scales groups of
// several zones zone by zone, has pods that need a zone, and more faults: obstacles to scaling groups zone by zone come and go.
func NewPlan(seed uint64, zonal bool) Plan {
	modes := modes
	if zonal {
		modes = zonalModes
	}
	r := rand.New(rand.NewPCG(seed, 0xc4a05))
	p := Plan{
		Seed:     seed,
		Zonal:    zonal,
		Mode:     modes[seed%uint64(len(modes))],
		Replicas: 1 + int(seed/uint64(len(modes)))%2,
		Traits:   newTraits(seed, seed/uint64(2*len(modes))%2 == 1, zonal),
		Delays: fakeaws.Delays{
			Listed: between(r, 100*time.Millisecond, 500*time.Millisecond), InService: between(r, 500*time.Millisecond, 1500*time.Millisecond),
			Register: between(r, time.Second, 2500*time.Millisecond), GPU: between(r, 100*time.Millisecond, time.Second),
			Terminate: between(r, 200*time.Millisecond, time.Second), Retry: between(r, time.Second, 3*time.Second),
			Synchronous: between(r, 100*time.Millisecond, 600*time.Millisecond),
		},
	}
	d := newDraft(r, p)
	p.Steps = d.pods()
	p.Steps = append(p.Steps, d.placed(d.stale()))
	for n := range callFaults + leastFaults + r.IntN(mostFaults-leastFaults+1) {
		kinds := d.ofCalls()
		if n >= callFaults {
			kinds = d.ofAll()
		}
		p.Steps = append(p.Steps, d.placed(pick(r, kinds)()))
	}
	if zonal {
		p.Steps = append(p.Steps, d.zonal()...)
	}
	p.Steps = append(p.Steps, d.disturbances(p)...)
	slices.SortStableFunc(p.Steps, func(a, b Step) int { return int(a.At - b.At) })
	return p
}

// placed gives a step a time to begin, and ends it in time.
func (d *draft) placed(s Step) Step {
	if s.fromTheStart() && d.IntN(4) == 0 {
		s.At = 0 // before the autoscaler starts
	} else {
		s.At = d.seconds(1, Length.Seconds()-1)
	}
	s.For = min(s.For, Length-s.At)
	return s
}

// fromTheStart reports whether the step makes sense where nothing has happened yet.
func (s Step) fromTheStart() bool {
	return s.Fault != nil || s.Shift != 0 || s.Shortage != nil || s.Tags != nil || s.Kind == NeverJoins || s.Kind == Rebalancing
}

// between is a duration from least on and below most.
func between(r *rand.Rand, least, most time.Duration) fakeaws.Duration {
	d := least + time.Duration(r.Int64N(int64(most-least)))
	return fakeaws.Duration(d.Round(10 * time.Millisecond))
}

// pods wants pods at the beginning, again later, more or less of them, and some right before the end.
func (d *draft) pods() []Step {
	steps := []Step{{Kind: Pods, Target: webPods, Count: 1 + d.IntN(8)}}
	for range 2 + d.IntN(4) {
		steps = append(steps, Step{At: time.Duration(between(d.Rand, 500*time.Millisecond, Length-time.Second)), Kind: Pods, Target: webPods, Count: d.IntN(12)})
		if d.IntN(2) == 0 {
			last := &steps[len(steps)-1]
			last.Target, last.Count = gpuPods, d.IntN(4)
		}
	}
	return append(steps,
		Step{At: Length - d.seconds(0.2, 3), Kind: Pods, Target: webPods, Count: 2 + d.IntN(12)},
		Step{At: Length - d.seconds(0.2, 3), Kind: Pods, Target: gpuPods, Count: d.IntN(4)})
}

// Allowance is how long each half of the recovery may take, on a busy machine. It takes some seconds where the groups are read
// each second, as long as a reading is kept where they are not, and as long as a zone counts as empty. A new start forgets that.
// But AWS may repeat an old failure to it once, which it believes for up to two minutes. Zonal plans fill whole groups. After a
// crash, each program of the control plane waits for up to a minute before it watches again: client-go's reflector pauses for
// half a minute and up to as much again. Nodes that are Ready late, or get no pods before an agent has started, take that longer,
// and so does an instance whose Node a user deleted: the core waits for it as for a new one. A look-up that AWS denied is repeated after
// half a minute. The end of an instance refresh shows up to three minutes later, and until then its group loses no node. An instance that
// waits for a hook is released 20 s later, once load balancers have left its node.
func (p Plan) Allowance() time.Duration {
	allowed := p.allowance()
	if slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Deed != nil && s.Deed.Kind == fakeaws.Refresh }) {
		allowed = max(allowed, 190*time.Second)
	}
	if p.Traits.Hooks {
		allowed += hookTime
	}
	return allowed
}

func (p Plan) allowance() time.Duration {
	allowed := 30 * time.Second
	switch {
	case p.zoneOut() && !p.startsAnew():
		return 4 * time.Minute
	case p.zoneOut():
		return 150 * time.Second
	case p.Traits.UsualRefresh, p.Day > 0:
		return 2 * time.Minute
	case p.Faults()[Crash] > 0:
		allowed = 90 * time.Second
	case p.Zonal:
		allowed = time.Minute
	}
	if p.Traits.LateNodes || p.Traits.StartupTaints {
		allowed += 15 * time.Second
	}
	if p.Faults()[UserDeletes] > 0 {
		allowed += 15 * time.Second
	}
	if slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Fault != nil && s.Fault.Code == accessDenied }) {
		allowed += 30 * time.Second
	}
	return allowed
}
