package peers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	lab "github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

// A reaction is the course of one run, from the creation of its pods.
type reaction struct {
	created     time.Time
	first, last time.Time // verdict of kube-scheduler that a pod has no node
	ready       time.Time // the last node
	running     time.Time // all pods
	asks        []request
	groups      []request // the first for each group
}

// react creates the pods, waits until all run, and returns what happened.
func (r *run) react(ctx context.Context, sets ...podSet) (reaction, error) {
	course := reaction{created: time.Now()}
	if err := r.create(ctx, sets...); err != nil {
		return course, err
	}
	var moments []lab.Moment
	want := total(sets)
	err := r.until(ctx, func() (bool, error) {
		moments = r.env.Timeline.Since(course.created)
		return lab.Count(moments, lab.PodRunning) >= want, nil
	})
	if err != nil {
		return course, fmt.Errorf("%d of %d pods run: %w", lab.Count(moments, lab.PodRunning), want, err)
	}
	first, judged := lab.First(moments, lab.PodPending)
	if !judged {
		return course, errors.New("kube-scheduler found a node for every pod at once")
	}
	last, _ := lab.Last(moments, lab.PodPending)
	running, _ := lab.Last(moments, lab.PodRunning)
	ready, _ := lab.Last(moments, lab.NodeReady)
	course.first, course.last, course.ready, course.running = first.At, last.At, ready.At, running.At
	course.asks = r.asked(course.created)
	for _, ask := range course.asks {
		if !slices.ContainsFunc(course.groups, func(g request) bool { return g.group == ask.group }) {
			course.groups = append(course.groups, ask)
		}
	}
	if len(course.asks) == 0 {
		return course, errors.New("all pods run, and nobody asked for instances")
	}
	return course, nil
}

// burst measures the reaction to pods of one kind that are created at once.
func burst(pods podSet) func(context.Context, *run) error {
	pods.name, pods.cpu = "burst", "500m"
	return func(ctx context.Context, r *run) error {
		c, err := r.react(ctx, pods)
		if err != nil {
			return err
		}
		r.took("first verdict to first ask", c.first, c.asks[0].at)
		if pods.count > 1 {
			r.took("last verdict to last ask", c.last, c.asks[len(c.asks)-1].at)
		}
		r.took("creation to first ask", c.created, c.asks[0].at)
		if pods.count > 1 {
			r.took("creation to last ask", c.created, c.asks[len(c.asks)-1].at)
		}
		r.took("first ask to last node Ready", c.asks[0].at, c.ready)
		r.took("last node Ready to all running", c.ready, c.running)
		r.took("creation to all running", c.created, c.running)
		r.sizes(c)
		return nil
	}
}

// sizes adds the number of calls, and of nodes. Karpenter makes no calls here, and a claim for each node.
func (r *run) sizes(c reaction) {
	if r.claims == nil {
		r.add("calls that ask", "", float64(len(c.asks)))
	}
	r.add("nodes", "", float64(r.nodes(c.created)))
}

// setsOf are sets of pods that each fit the nodes of one group only.
func setsOf(count, pods int) []podSet {
	var sets []podSet
	for _, g := range of(count, large) {
		sets = append(sets, podSet{name: "pods-of-" + g.name, count: pods, cpu: "500m", group: g.name})
	}
	return sets
}

// several measures how soon all groups are asked for that pods need at the same time.
func several(count, pods int) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error {
		c, err := r.react(ctx, setsOf(count, pods)...)
		if err != nil {
			return err
		}
		if len(c.groups) != count {
			return fmt.Errorf("%d groups were asked for, want %d", len(c.groups), count)
		}
		last := c.groups[count-1].at
		r.took("last verdict to last group", c.last, last)
		r.took("first group to last group", c.groups[0].at, last)
		r.took("creation to all running", c.created, c.running)
		r.sizes(c)
		return nil
	}
}

// hang is how much later AWS answers calls about one group in hanging. They take effect at once.
const hang = 30 * time.Second

// hanging is several, and the launch calls of the first group hang. The figures are about the other groups.
func hanging(count, pods int) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error {
		sets := setsOf(count, pods)
		stuck := sets[0].group
		defer r.env.AWS.ClearFaults()
		for _, action := range harness.Raises {
			r.env.AWS.Inject(fakeaws.Fault{Group: stuck, Action: action, Latency: fakeaws.Duration(hang)})
		}
		c, err := r.react(ctx, sets...)
		if err != nil {
			return err
		}
		var last time.Time
		others := slices.DeleteFunc(c.groups, func(g request) bool { return g.group == stuck })
		for _, g := range others {
			last = g.at
		}
		if len(others) != count-1 {
			return fmt.Errorf("%d other groups were asked for, want %d", len(others), count-1)
		}
		r.took("last verdict to last other group", c.last, last)
		r.took("creation to all running", c.created, c.running)
		return nil
	}
}

const (
	preferred = "preferred" // wastes less than the second group
	second    = "second"
)

func fallbackGroups() []group {
	return []group{{name: preferred, instanceType: small}, {name: second, instanceType: medium}}
}

// fallback measures how soon the second group is asked when the preferred one has no capacity.
func fallback(ctx context.Context, r *run) error {
	r.env.AWS.AddShortage(fakeaws.Shortage{Group: preferred})
	c, err := r.react(ctx, podSet{name: "fallback", count: 1, cpu: "1"})
	if err != nil {
		return err
	}
	if len(c.groups) != 2 || c.groups[0].group != preferred {
		return fmt.Errorf("the groups were asked for in the order %v, want the preferred one first", c.groups)
	}
	r.took("verdict to second group", c.first, c.groups[1].at)
	r.took("first group to second group", c.groups[0].at, c.groups[1].at)
	r.took("creation to all running", c.created, c.running)
	return nil
}
