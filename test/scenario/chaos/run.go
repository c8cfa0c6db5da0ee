package chaos

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

const (
	// labLimit bounds the lab's own work, on a busy machine.
	labLimit   = 2 * time.Minute
	orphanPoll = 300 * time.Millisecond
	// beatPoll is kubelet's five minutes, in proportion.
	beatPoll = 5 * time.Second
	// liveLook bounds a look at the cluster while AWS stands still.
	liveLook = 3 * time.Second
	// excused is how long after a fault of the API server a replica may end by itself, because its lease and its start depend on it.
	excused = 10 * time.Second
)

type run struct {
	judge
	plan      Plan
	dir       string
	env       *scenario.Env
	front     *apiFront
	client    kubernetes.Interface
	aws       *fakeaws.Server
	account   fakeaws.Config
	replicas  []*replica
	began     time.Time
	ends      sync.WaitGroup // of replicas that take their time
	notReady  map[string]int // nodes that are kept from being Ready, and by how many steps
	users     users
	kills     atomic.Int64   // of the leader, at a write
	more      map[string]int // pods that are wanted beyond the plan's, by workload
	samples   []Sample       // of a soak, at the end of its run
	moves     rotation
	resumedAt time.Time // the last time that a move was resumed
	quiet     *calm     // since nothing disturbs the autoscaler any more, nil before, and in plans that are not zonal
}

// run performs the plan, waits for the recovery, and judges.
func (l *Lab) run(ctx context.Context, p Plan, dir string) (Result, error) {
	r := &run{plan: p, dir: dir, env: l.env, front: l.front, client: l.client, account: account(p), notReady: map[string]int{},
		users: users{cordoned: map[types.UID]string{}}, more: map[string]int{}, moves: newRotation()}
	if err := os.WriteFile(filepath.Join(dir, "plan.txt"), []byte(p.String()), 0o644); err != nil {
		return Result{}, err
	}
	if err := l.env.StartAWS(ctx, r.account); err != nil {
		return Result{}, err
	}
	if p.Traits.Budgets {
		if err := createBudgets(ctx, l.client, p.workloads()); err != nil {
			return Result{}, err
		}
	}
	r.aws = l.env.AWS
	r.began = time.Now()
	if p.Moving != nil {
		r.front.begin(p.Seed, r.wrote)
	} else {
		r.front.begin(p.Seed, nil)
	}
	working, stop := context.WithCancel(ctx)
	var workers sync.WaitGroup
	r.watch(working)
	workers.Go(func() { r.every(working, orphanPoll, removeOrphans) })
	workers.Go(func() { r.every(working, beatPoll, beat) })
	if p.Moving != nil && p.Moving.Reboot == heals {
		workers.Go(func() { r.every(working, orphanPoll, r.heal) })
	}
	startReplicas := func() {
		for n := range p.Replicas {
			one := r.newReplica(fmt.Sprintf("autoscaler-%d", n))
			r.replicas = append(r.replicas, one)
			workers.Go(func() { one.run(working) })
		}
	}
	if p.Day > 0 {
		workers.Go(func() { r.sample(working) })
	}
	if p.Traits.Divided {
		workers.Go(func() { r.divideGPU(working) })
	}
	err := r.perform(ctx, startReplicas)
	result := Result{Seed: p.Seed, Mode: p.Mode, Zonal: p.Zonal, Moving: p.Moving != nil, Replicas: p.Replicas, Traits: p.Traits, Faults: p.Faults(), Allowance: p.Allowance()}
	if err == nil {
		err = r.recover(ctx, &result)
	}
	stop()
	workers.Wait()
	r.ends.Wait()
	if err != nil {
		return result, err
	}
	if p.Day > 0 {
		result.Samples = r.samples
		r.flat()
	}
	return result, r.verdict(l, &result)
}

func (r *run) newReplica(name string) *replica {
	log := filepath.Join(r.dir, name+".log")
	extra := append(flags(r.plan), "--kubeconfig="+r.front.kubeconfig)
	return &replica{name: name, log: log, fault: r.fault, excused: func() bool { return r.front.troubled(excused) }, stays: r.plan.Day > 0,
		start: func(ctx context.Context) (*scenario.Autoscaler, error) {
			return r.env.StartReplica(ctx, name, log, manifest, extra...)
		}}
}

// watch has every event of AWS judged as it happens. If the API server is too slow for that, it uses the informers.
func (r *run) watch(ctx context.Context) {
	groups := byName(r.account)
	weigh := func(group, instanceType string) int { return weightOf(groups[group], instanceType) }
	bench := newBench(&r.judge, weigh, func(instance string) scenario.NodeLook {
		ctx, cancel := context.WithTimeout(ctx, liveLook)
		defer cancel()
		if node, err := r.env.LookAt(ctx, instance); err == nil {
			return node
		}
		return r.env.Seen(instance)
	})
	r.aws.Listen(func(e fakeaws.Event) {
		if ctx.Err() == nil {
			bench.see(e)
			r.ended(ctx, e)
		}
	})
}

// every does what the cluster's programs do all the time.
func (r *run) every(ctx context.Context, interval time.Duration, do func(context.Context, kubernetes.Interface) error) {
	for ctx.Err() == nil {
		if err := do(ctx, r.client); err != nil && ctx.Err() == nil && !r.front.troubled(time.Second) {
			r.fault(err)
		}
		pause(ctx, interval)
	}
}

type act struct {
	at time.Duration
	do func(context.Context) error
}

// perform performs the steps in time, and ends each that has an end. Steps at the very beginning come before the autoscaler.
func (r *run) perform(ctx context.Context, startReplicas func()) error {
	const afterTheFirst = time.Nanosecond
	acts := []act{{at: afterTheFirst, do: func(context.Context) error { startReplicas(); return nil }}}
	for n, s := range r.plan.Steps {
		begin, end := r.acts(s, fmt.Sprintf("step-%d", n))
		acts = append(acts, act{at: s.At, do: begin})
		if end != nil {
			acts = append(acts, act{at: s.At + s.For, do: end})
		}
	}
	slices.SortStableFunc(acts, func(a, b act) int { return cmp.Compare(a.at, b.at) })
	for _, a := range acts {
		pause(ctx, a.at-time.Since(r.began))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := a.do(ctx); err != nil {
			return err
		}
	}
	pause(ctx, r.plan.length()-time.Since(r.began))
	return ctx.Err()
}

// acts begin a step and end it. The latter may be nil. An injected fault ends by itself.
func (r *run) acts(s Step, id string) (begin, end func(context.Context) error) {
	simple := func(do func()) func(context.Context) error { return func(context.Context) error { do(); return nil } }
	switch s.Kind {
	case Pods:
		return func(ctx context.Context) error { return scale(ctx, r.client, s.Target, s.Count) }, nil
	case Rollout:
		return func(ctx context.Context) error { return rollOut(ctx, r.client, s.Target, id) }, nil
	case NoCapacity, ZoneOut, DyingLaunches:
		lack := *s.Shortage
		lack.ID = id
		return simple(func() { r.aws.AddShortage(lack) }), simple(func() { r.aws.ClearShortages(id) })
	case StaleReads:
		reads := fakeaws.StaleReads{Most: s.Shift, Worst: s.Worst}
		return simple(func() { r.aws.SetStale(reads) }), simple(func() { r.aws.SetStale(fakeaws.StaleReads{}) })
	case ClockJump:
		return simple(func() { r.aws.SetClockSkew(time.Duration(s.Shift)) }), simple(func() { r.aws.SetClockSkew(0) })
	case Reclaim, Recreate, ForeignDesired, Moves, RootVolume:
		return func(context.Context) error { return r.aws.Do(*s.Deed) }, nil
	case Interruption, Recommendation, Maintenance:
		return func(context.Context) error { return r.aws.Do(announced(*s.Deed, r.aws.Groups())) }, nil
	case ForeignMinimum:
		return simple(func() { r.limits(s.Target, s.Count) }), simple(func() { r.limits(s.Target, r.minimum(s.Target)) })
	case TagsChanged, ZonalTag:
		return simple(func() { r.tag(s.Target, s.Tags) }), simple(func() { r.restoreTags(s.Target) })
	case Rebalancing:
		return func(context.Context) error { return r.undivide(s.Target) }, simple(func() { r.divide(s.Target) })
	case NeverJoins:
		return simple(func() { r.joining(s.Target, false) }), simple(func() { r.joining(s.Target, true) })
	case Crash:
		return func(ctx context.Context) error { return r.crash(ctx, id, s.Target) }, nil
	case APIRefuses, APIHangs, APICuts:
		return simple(func() { r.front.inject(id, *s.API) }), simple(func() { r.front.clear(id) })
	case Garbage:
		return func(context.Context) error { return r.litter(s) }, nil
	case NotReady:
		return r.notReadyActs(s)
	case LostWrites:
		return simple(func() { r.front.inject(id, *s.API) }), simple(func() { r.front.clear(id) })
	case KillAtWrite:
		return simple(func() { r.killAtWrite(id, s) }), simple(func() { r.front.clear(id) })
	case UserCordons, UserUncordons, UserDeletes:
		return r.userActs(s)
	case Starved:
		feed := func() {}
		return simple(func() { feed = r.starve(s.Count) }), simple(func() { feed() })
	case NewTemplate:
		return simple(func() { r.newTemplate(s.Target, s.Count) }), nil
	case BrokenNode:
		return func(ctx context.Context) error { return r.breakNode(ctx, s.Pick) }, nil
	case KillInMove:
		return simple(func() { r.killInMove(id, s.Target, s.Worst, s.Down) }), simple(func() { r.front.clear(id) })
	case KillReplica, StopReplica, PauseReplica:
		return r.replicaActs(s)
	case StealLease:
		return r.stealLease, nil
	}
	fault := *s.Fault
	fault.ID = id
	return simple(func() { r.aws.Inject(fault) }), simple(func() { r.aws.ClearFaults(id) })
}

// announced is the announcement of a step, about the next group by name that has an instance in service if the step's own has none.
func announced(d fakeaws.Deed, groups []fakeaws.GroupState) fakeaws.Deed {
	from := max(0, slices.IndexFunc(groups, func(g fakeaws.GroupState) bool { return g.Name == d.Group }))
	for _, g := range slices.Concat(groups[from:], groups[:from]) {
		if g.Name != dividedGroup && slices.ContainsFunc(g.Instances, func(i fakeaws.InstanceState) bool { return i.State == "InService" }) {
			d.Group = g.Name
			break
		}
	}
	return d
}

// crash kills a program of the control plane and waits until it serves again. Until then nobody reaches the API server, because
// one that has just started refuses users it does not know yet.
func (r *run) crash(ctx context.Context, id, program string) error {
	id = "a crash, " + id // faults hit in the order of their IDs, and others would let writes through
	r.front.inject(id, APIFault{Broken: true})
	defer r.front.clear(id)
	return r.env.Cluster.Restart(ctx, program)
}

// litter sends messages that nobody should send.
func (r *run) litter(s Step) error {
	for n := range s.Count {
		if err := r.aws.SendMessage(queueName, garbage[(s.Pick+n)%len(garbage)]); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) minimum(group string) int { return byName(r.account)[group].Min }

// limits and its siblings below leave alone a group that does not exist at the moment.
func (r *run) limits(group string, lower int) {
	_ = r.aws.SetLimits(group, lower, byName(r.account)[group].Max)
}

func (r *run) tag(group string, tags map[string]*string) { _ = r.aws.SetTags(group, tags) }

// restoreTags restores exactly the tags that a group had at the start.
func (r *run) restoreTags(group string) {
	state, _ := r.aws.Group(group)
	tags := map[string]*string{}
	for key := range state.Tags {
		tags[key] = nil
	}
	for key, value := range byName(r.account)[group].Tags {
		tags[key] = &value
	}
	r.tag(group, tags)
}

func (r *run) joining(group string, join bool) {
	config := byName(r.account)[group].NodeConfig
	if !join {
		config.RegisterAfter = fakeaws.Never
	}
	_ = r.aws.SetNodeConfig(group, config)
}

func (r *run) notReadyActs(s Step) (begin, end func(context.Context) error) {
	var chosen []string
	begin = func(ctx context.Context) error {
		nodes, err := r.nodes(ctx)
		if err != nil {
			return err
		}
		maps.DeleteFunc(nodes, func(_ string, node corev1.Node) bool { return node.Labels[poolLabel] == partPods }) // see divideGPU
		names := slices.Sorted(maps.Keys(nodes))
		for n := range min(s.Count, len(names)) {
			name := names[(s.Pick+n)%len(names)]
			chosen = append(chosen, name)
			r.notReady[name]++
			if err := setReady(ctx, r.client, name, false); err != nil {
				return err
			}
		}
		return nil
	}
	end = func(ctx context.Context) error {
		for _, name := range chosen {
			if r.notReady[name]--; r.notReady[name] > 0 {
				continue
			}
			if err := setReady(ctx, r.client, name, true); err != nil {
				return err
			}
		}
		return nil
	}
	return begin, end
}

// chosen is the replica of a step: the leader, or another one.
func (r *run) chosen(ctx context.Context, target string) *replica {
	lease, err := r.client.CoordinationV1().Leases(systemNamespace).Get(ctx, leaseName, metav1.GetOptions{})
	holder := ""
	if err == nil {
		holder = ptr.Deref(lease.Spec.HolderIdentity, "")
	}
	for _, one := range r.replicas {
		if (one.name == holder) == (target == leader) {
			return one
		}
	}
	return r.replicas[0]
}

func (r *run) replicaActs(s Step) (begin, end func(context.Context) error) {
	resume := func() error { return nil }
	begin = func(ctx context.Context) error {
		if len(r.replicas) == 0 {
			return nil // before the start
		}
		one := r.chosen(ctx, s.Target)
		switch s.Kind {
		case KillReplica:
			return one.kill(s.For)
		case StopReplica:
			r.ends.Go(func() {
				if err := one.end(s.For, (*scenario.Autoscaler).Stop); err != nil {
					r.fault(fmt.Errorf("replica %s: %w", one.name, err))
				}
			})
			return nil
		}
		var err error
		resume, err = one.hold()
		return err
	}
	return begin, func(context.Context) error { return resume() }
}

// stealLease makes somebody else the leader, who does not renew the lease.
func (r *run) stealLease(ctx context.Context) error {
	patch := fmt.Appendf(nil, `{"spec":{"holderIdentity":"somebody-else","renewTime":%q}}`, time.Now().UTC().Format(metav1.RFC3339Micro))
	_, err := r.client.CoordinationV1().Leases(systemNamespace).Patch(ctx, leaseName, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil && !apierrors.IsNotFound(err) { // nobody leads yet
		return fmt.Errorf("steal the lease: %w", err)
	}
	return nil
}

// recover ends the faults that are left and waits until all pods run. Then it wants no pods, and waits for rest.
func (r *run) recover(ctx context.Context, result *Result) error {
	if _, err := converged(ctx, labLimit, 0, r.groupsBack); err != nil {
		return err
	}
	for _, g := range r.account.AutoScalingGroups {
		r.joining(g.Name, true)
		r.limits(g.Name, g.Min)
		r.restoreTags(g.Name)
		r.divide(g.Name)
	}
	if r.plan.startsAnew() {
		r.startAnew()
	}
	var err error
	if result.Running, err = r.reach(ctx, r.plan.Allowance(), "not every pod runs", r.running); err != nil {
		return err
	}
	if err := r.judgeCordons(ctx); err != nil {
		return err
	}
	if err := r.burst(ctx); err != nil {
		return err
	}
	if err := r.rotate(ctx); err != nil {
		return err
	}
	if r.plan.Zonal {
		if r.plan.Traits.UsualRefresh { // the last fault may be known for another minute
			if _, err := r.reach(ctx, r.plan.Allowance(), "not zone by zone", r.viewsMissing); err != nil {
				return err
			}
		}
		r.beCalm()
		if err := r.fill(ctx); err != nil {
			return err
		}
	}
	if err := r.wantNothing(ctx); err != nil {
		return err
	}
	if result.AtRest, err = r.reach(ctx, r.plan.Allowance(), "not at rest", r.atRest); err != nil {
		return err
	}
	if err := r.judgeCordons(ctx); err != nil {
		return err
	}
	if err := r.still(ctx); err != nil {
		return err
	}
	if r.plan.Zonal {
		return r.marksGone(ctx)
	}
	return nil
}

// wantNothing wants no pods.
func (r *run) wantNothing(ctx context.Context) error {
	for _, app := range append(r.plan.workloads(), wholePods) {
		if err := scale(ctx, r.client, app, 0); err != nil {
			return err
		}
	}
	return nil
}

// reach waits for an end state to hold. A state that is not reached in time is a stall. An error is the lab's. It looks again if
// kube-controller-manager had left a workload with too few or too many pods.
func (r *run) reach(ctx context.Context, within time.Duration, otherwise string, holds func(context.Context) (string, error)) (time.Duration, error) {
	after, late := converged(ctx, within, held, holds)
	if late != nil && ctx.Err() == nil {
		left, err := r.makePods(ctx)
		if err != nil {
			return after, err
		}
		if left {
			after, late = converged(ctx, within, held, holds)
		}
	}
	if ctx.Err() != nil {
		return after, ctx.Err()
	}
	if late != nil {
		r.wrong(func(w *Wrongs) { w.Stalls++ }, "stall: %s: %v", otherwise, late)
	}
	return after, nil
}

// groupsBack returns the groups that are still missing.
func (r *run) groupsBack(context.Context) (missing string, err error) {
	for _, g := range r.account.AutoScalingGroups {
		if _, exists := r.aws.Group(g.Name); !exists {
			missing += fmt.Sprintf("group %q is gone; ", g.Name)
		}
	}
	return missing, nil
}

// verdict completes the result from the run's observations, and writes down the events.
func (r *run) verdict(l *Lab, result *Result) error {
	events := r.aws.Events()
	moments := r.env.Timeline.Since(r.began)
	var logs []string
	result.Limits, result.Kills = limitCounts{}, int(r.kills.Load())
	for _, one := range r.replicas {
		log := one.since(0)
		logs = append(logs, log)
		r.races(log)
		result.Nominations += strings.Count(log, nominated)
		result.Limits.count(log)
	}
	r.doubles(events, wishes(r.began.Year(), logs...), r.account.AutoScalingGroups)
	if r.plan.Zonal {
		r.zonal(events)
	}
	refused, err := l.env.Cluster.Forbidden()
	if err != nil {
		return err
	}
	if len(refused) > l.forbidden {
		r.violated("the API server refused: %s", strings.Join(refused, "; "))
	}
	l.forbidden = len(refused)
	for _, call := range r.aws.CallLog() {
		result.Calls++
		if call.Faults > 0 {
			result.Spoiled++
		}
	}
	for _, e := range events {
		switch e.Kind {
		case fakeaws.Launched:
			result.Launched++
		case fakeaws.TerminateRequested:
			result.Terminated++
		case fakeaws.Rebooted:
			result.Reboots++
		}
	}
	result.Moves, result.Resumed = len(r.moves.drained), r.moves.resumed
	result.Notes = r.moves.notes
	result.SpoiledRequests = r.front.hits()
	result.Took = time.Since(r.began)
	result.Wrongs, result.Violations = r.wrongs, r.violations
	return r.writeEvents(moments, events)
}

// writeEvents writes the events of AWS and of the cluster, and the violations, for a reader.
func (r *run) writeEvents(moments []scenario.Moment, events []fakeaws.Event) error {
	var text strings.Builder
	for _, v := range r.violations {
		fmt.Fprintf(&text, "WRONG: %s\n", v)
	}
	for _, n := range r.moves.notes {
		fmt.Fprintf(&text, "NOTE: %s\n", n)
	}
	fmt.Fprintf(&text, "Began at %s\nAWS:\n", r.began.Format("15:04:05.000"))
	for _, e := range events {
		fmt.Fprintf(&text, "%6.1f %s\n", e.Time.Sub(r.began).Seconds(), e)
	}
	text.WriteString("Cluster:\n")
	for _, m := range moments {
		fmt.Fprintf(&text, "%6.1f %-20s %s  %s\n", m.At.Sub(r.began).Seconds(), m.Kind, m.Object, m.Detail)
	}
	return os.WriteFile(filepath.Join(r.dir, "events.txt"), []byte(text.String()), 0o644)
}
