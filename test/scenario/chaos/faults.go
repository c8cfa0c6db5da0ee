package chaos

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

type draft struct {
	*rand.Rand
	axis      fakeaws.Shortage // the one lack of the plan: every workload keeps a pool, because lacks are remembered for minutes
	replicas  int
	groups    []string // names of the Auto Scaling groups
	emptiable []string // groups without a minimum
	writes    []string // actions by which the autoscaler writes
	actions   []string // actions that faults are aimed at, "" is all
	queue     bool     // the account has an interruption queue
}

func newDraft(r *rand.Rand, p Plan) *draft {
	lacks := shortages
	if p.Zonal {
		lacks = zonalShortages
	}
	d := &draft{Rand: r, axis: pick(r, lacks), replicas: p.Replicas, queue: p.Traits.Queue}
	for name, g := range byName(account(p)) {
		if name == dividedGroup {
			continue // its node stays the only witness of its parts
		}
		d.groups = append(d.groups, name)
		if g.Min == 0 {
			d.emptiable = append(d.emptiable, name)
		}
	}
	slices.Sort(d.groups)
	slices.Sort(d.emptiable)
	d.writes = []string{"TerminateInstanceInAutoScalingGroup", setDesired}
	if p.Mode != "desired-capacity" {
		d.writes[1] = "LaunchInstances"
	}
	d.actions = append([]string{"", "", "", "DescribeAutoScalingGroups", "DescribeScalingActivities", "DescribeLaunchTemplateVersions"}, append(d.writes, d.writes...)...)
	return d
}

// Each of these shortages leaves every workload a group with capacity.
var shortages = []fakeaws.Shortage{
	{CapacityType: "spot"},
	{Zone: zoneA},
	{Zone: zoneB},
	{InstanceType: "m5.large"},
	{InstanceType: "g4dn.xlarge"},
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

func (d *draft) seconds(least, most float64) time.Duration {
	s := least + d.Float64()*(most-least)
	return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond)
}

// ofCalls draw a fault that spoils calls. The caller sets its time.
func (d *draft) ofCalls() []func() Step {
	return []func() Step{d.apiErrors, d.throttling, d.actionThrottled, d.latency, d.hangingLaunch, d.damage, d.damage, d.lateErrors, d.partialBatch}
}

// ofAll draw a fault of any kind.
func (d *draft) ofAll() []func() Step {
	kinds := append(d.ofCalls(), d.noCapacity, d.noCapacity, d.stale, d.clock, d.reclaim, d.reclaim, d.recreate,
		d.foreignDesired, d.foreignMinimum, d.moves, d.rootVolume, d.tags, d.neverJoins, d.dyingLaunches, d.notReady, d.notReady,
		d.replica, d.replica, d.replica, d.lease, d.apiRefuses, d.apiRefuses, d.apiHangs, d.apiCuts, d.crash)
	if d.queue {
		kinds = append(kinds, d.interruption, d.interruption, d.interruption, d.recommendation, d.maintenance, d.garbage)
	}
	return kinds
}

func (d *draft) apiErrors() Step {
	return Step{Kind: APIErrors, For: d.seconds(2, 7), Fault: &fakeaws.Fault{
		Action: pick(d.Rand, d.actions), Percent: 30 + d.IntN(71), Code: pick(d.Rand, []string{"InternalFailure", "ServiceUnavailable", "AccessDenied"}),
	}}
}

func (d *draft) throttling() Step {
	return Step{Kind: Throttling, For: d.seconds(3, 8), Fault: &fakeaws.Fault{
		Service: pick(d.Rand, []string{"", "autoscaling", "ec2"}), Percent: 50, Code: "Throttling",
	}}
}

func (d *draft) latency() Step {
	return Step{Kind: Latency, For: d.seconds(2, 6), Fault: &fakeaws.Fault{Action: pick(d.Rand, d.actions), Latency: fakeaws.Duration(5 * time.Second)}}
}

func (d *draft) hangingLaunch() Step {
	return Step{Kind: HangingLaunch, For: d.seconds(2, 6), Fault: &fakeaws.Fault{
		Action: d.writes[1], Percent: 50 + d.IntN(51), Latency: fakeaws.Duration(d.seconds(3, 30)),
	}}
}

func (d *draft) damage() Step {
	f := &fakeaws.Fault{Action: pick(d.Rand, d.actions), Percent: 30 + d.IntN(71)}
	s := Step{For: d.seconds(2, 7), Fault: f}
	switch d.IntN(3) {
	case 0:
		s.Kind, f.Body = Truncated, fakeaws.Truncated
	case 1:
		s.Kind, f.Body = Garbled, fakeaws.Garbled
	default:
		s.Kind, f.Body = LostAnswers, fakeaws.Lost
	}
	return s
}

func (d *draft) lateErrors() Step {
	return Step{Kind: LateErrors, For: d.seconds(3, 8), Fault: &fakeaws.Fault{
		Action: pick(d.Rand, d.writes), Percent: 50 + d.IntN(51), Code: "InternalFailure", Late: true,
	}}
}

func (d *draft) noCapacity() Step {
	lack := d.axis
	lack.Available = d.IntN(3)
	return Step{Kind: NoCapacity, For: d.seconds(2, 8), Shortage: &lack}
}

func (d *draft) stale() Step {
	return Step{Kind: StaleReads, For: d.seconds(2, 6), Shift: fakeaws.Duration(d.seconds(0.5, 3)), Worst: d.IntN(3) == 0}
}

func (d *draft) clock() Step {
	by := d.seconds(1, 5)
	if d.IntN(2) == 0 {
		by = d.seconds(60, 7200)
	}
	if d.IntN(2) == 0 {
		by = -by
	}
	return Step{Kind: ClockJump, For: d.seconds(1, 6), Shift: fakeaws.Duration(by)}
}

func (d *draft) reclaim() Step {
	return Step{Kind: Reclaim, Deed: &fakeaws.Deed{Kind: fakeaws.Reclaim, Group: pick(d.Rand, d.groups), Count: 1 + d.IntN(3)}}
}

func (d *draft) recreate() Step {
	return Step{Kind: Recreate, Deed: &fakeaws.Deed{Kind: fakeaws.Delete, Group: pick(d.Rand, d.groups), BackAfter: fakeaws.Duration(d.seconds(0.1, 3))}}
}

func (d *draft) foreignDesired() Step {
	deed := &fakeaws.Deed{Kind: fakeaws.OperatorDesired, Group: pick(d.Rand, d.groups), Add: 1 + d.IntN(2)}
	if d.IntN(3) == 0 {
		to := 1 + d.IntN(2) // may be less than is needed
		deed = &fakeaws.Deed{Kind: fakeaws.ScheduledAction, Group: deed.Group, Desired: &to}
	}
	return Step{Kind: ForeignDesired, Deed: deed}
}

func (d *draft) foreignMinimum() Step {
	return Step{Kind: ForeignMinimum, For: d.seconds(2, 6), Target: pick(d.Rand, d.groups), Count: 1 + d.IntN(2)}
}

func (d *draft) moves() Step {
	return Step{Kind: Moves, Deed: &fakeaws.Deed{
		Kind: pick(d.Rand, []fakeaws.DeedKind{fakeaws.Rebalance, fakeaws.Refresh}), Group: pick(d.Rand, d.groups),
	}}
}

func (d *draft) tags() Step {
	text := func(s string) *string { return &s }
	s := Step{Kind: TagsChanged, For: d.seconds(1, 6), Target: pick(d.Rand, d.groups)}
	s.Tags = pick(d.Rand, []map[string]*string{
		{enabledTag: nil},
		{poolTag: text("elsewhere")},
		{poolTag: nil},
		{templateTag + "taint/dedicated": text("nobody")},
		{templateTag + "resources/cpu": text("many")},
		{templateTag + "autoscaling-options/scaledownunneededtime": text("soon")},
	})
	return s
}

// neverJoins leaves out the groups with a minimum: the core never removes an instance that a minimum asks for.
func (d *draft) neverJoins() Step {
	return Step{Kind: NeverJoins, For: d.seconds(2, 6), Target: pick(d.Rand, d.emptiable)}
}

func (d *draft) notReady() Step {
	return Step{Kind: NotReady, For: d.seconds(1, 8), Count: 1 + d.IntN(3), Pick: d.IntN(10)}
}

func (d *draft) replica() Step {
	s := Step{Kind: pick(d.Rand, []Kind{KillReplica, KillReplica, StopReplica, PauseReplica}), For: d.seconds(0.1, 5), Target: leader}
	if d.replicas > 1 && d.IntN(5) == 0 {
		s.Target = standby
	}
	return s
}

func (d *draft) lease() Step { return Step{Kind: StealLease} }

func (d *draft) partialBatch() Step {
	return Step{Kind: PartialBatch, For: d.seconds(2, 8), Fault: &fakeaws.Fault{
		Action: "TerminateInstanceInAutoScalingGroup", Share: 20 + d.IntN(81), Answers: 20 + d.IntN(81),
	}}
}

func (d *draft) actionThrottled() Step {
	action := pick(d.Rand, append(slices.Clone(d.writes), "DescribeAutoScalingGroups", "DescribeScalingActivities", "DescribeInstances"))
	return Step{Kind: ActionThrottled, For: d.seconds(2, 6), Fault: &fakeaws.Fault{Action: action, Code: "Throttling"}}
}

func (d *draft) dyingLaunches() Step {
	return Step{Kind: DyingLaunches, For: d.seconds(2, 6), Shortage: &fakeaws.Shortage{
		Group: pick(d.Rand, d.groups), Dies: fakeaws.Duration(d.seconds(0.2, 3)), Percent: 50 + d.IntN(51),
	}}
}

func (d *draft) rootVolume() Step {
	return Step{Kind: RootVolume, Deed: &fakeaws.Deed{
		Kind: fakeaws.ReplaceRootVolume, Group: pick(d.Rand, d.groups), Count: 1 + d.IntN(2), Each: fakeaws.Duration(d.seconds(0.3, 2)),
	}}
}

// Ends of the paths that requests to the API server are spoiled on: all, evictions, the lease, nodes and pods.
var apiPaths = []string{"", "", "/eviction", "/leases/" + leaseName, "/nodes", "/pods"}

func (d *draft) apiRefuses() Step {
	return Step{Kind: APIRefuses, For: d.seconds(1, 6), API: &APIFault{
		Path: pick(d.Rand, apiPaths), Percent: 30 + d.IntN(71), Status: pick(d.Rand, []int{429, 500, 503}),
	}}
}

func (d *draft) apiHangs() Step {
	return Step{Kind: APIHangs, For: d.seconds(1, 5), API: &APIFault{Path: pick(d.Rand, apiPaths), Percent: 50 + d.IntN(51), Hang: true}}
}

func (d *draft) apiCuts() Step {
	return Step{Kind: APICuts, For: d.seconds(0.1, 1), API: &APIFault{Cut: true}}
}

func (d *draft) crash() Step {
	return Step{Kind: Crash, Target: pick(d.Rand, []string{controlplane.APIServerName, controlplane.EtcdName})}
}

// mostNotice is how long before an interruption EC2 warns of it, at most. In half of that the autoscaler ends the instance itself, because
// its node leaves load balancers for 20 s first. Shorter notices are over before.
const mostNotice = 40 // seconds

// interruption warns of a reclaim. Most groups have spot instances, and those go first.
func (d *draft) interruption() Step {
	kind := pick(d.Rand, []fakeaws.DeedKind{fakeaws.Interrupt, fakeaws.Interrupt, fakeaws.InterruptReservation})
	return Step{Kind: Interruption, Deed: &fakeaws.Deed{
		Kind: kind, Group: pick(d.Rand, d.groups), Count: 1 + d.IntN(3), Notice: fakeaws.Duration(d.seconds(1, mostNotice)),
	}}
}

func (d *draft) recommendation() Step {
	return Step{Kind: Recommendation, Deed: &fakeaws.Deed{Kind: fakeaws.RecommendRebalance, Group: pick(d.Rand, d.groups), Count: 1 + d.IntN(2)}}
}

func (d *draft) maintenance() Step {
	return Step{Kind: Maintenance, Deed: &fakeaws.Deed{
		Kind: fakeaws.ScheduleChange, Group: pick(d.Rand, d.groups), Notice: fakeaws.Duration(d.seconds(5, mostNotice)), Backup: d.IntN(4) == 0,
	}}
}

func (d *draft) garbage() Step {
	return Step{Kind: Garbage, Count: 1 + d.IntN(5), Pick: d.IntN(len(garbage))}
}
