package asg_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
)

// A scenario is what we and others do to one group; in which order, is what is enumerated.
type scenario struct {
	name                  string
	mode                  asg.LaunchMode
	lower, desired, upper int
	stock                 int // instances that EC2 has; 0 stands for enough, less for none

	prompt       bool // AWS scales in between two calls of ours, too
	slowLaunches bool // an instance that AWS asks EC2 for is listed at a later step, even when it is not desired any more
	lateAnswers  bool // between AWS's doing something and our learning of it, other scripts of ours may go on
	protect      bool // new instances are protected from scale-in
	stale, lost  int  // how many readings show what was before the last change, and how many answers or requests are lost

	before  func(*process) // what we do in peace, first
	script  func(*process) // what we do
	beside  func(*process) // what we do at the same time
	restart func(*process) // what we do in our next life; we can be killed at any step if there is one
	foreign []writer

	check func(*sim) string // what else must hold in the end; "" if it does
}

// A writer is somebody else, who does one thing after the other.
type writer struct {
	who  string
	acts []act
}

type act struct {
	name string
	do   func(*modelAWS)
}

func (sc *scenario) play(t *testing.T, order *schedule) *sim {
	s := &sim{scenario: sc, t: t, aws: newModelAWS(sc.lower, sc.desired, sc.upper), staleLeft: sc.stale, lossLeft: sc.lost}
	if s.aws.protect = sc.protect; sc.stock != 0 {
		s.aws.stock = max(0, sc.stock)
	}
	p := s.newProcess("we")
	p.free = true
	p.look()
	if sc.before != nil {
		sc.before(p)
	}
	time.Sleep(time.Minute)
	p.look()
	p.free = false
	s.aws.past = s.aws.past[len(s.aws.past)-1:]
	p.run(sc.script)
	if sc.beside != nil {
		p.run(sc.beside)
	}
	s.play(order)
	s.agree(order)
	if sc.check != nil {
		if wrong := sc.check(s); wrong != "" {
			s.fail(order, wrong)
		}
	}
	return s
}

// agree checks that what we know in the end is what there is.
func (s *sim) agree(order *schedule) {
	p := s.processes[len(s.processes)-1]
	p.free = true
	p.look()
	type view struct {
		Desired   int
		Instances map[string]bool // and whether they are leaving
	}
	want, got := view{s.aws.desired, map[string]bool{}}, view{p.group().DesiredCapacity, map[string]bool{}}
	for _, i := range s.aws.instances {
		want.Instances[i.id] = i.leaving
	}
	for _, i := range p.group().Instances {
		got.Instances[i.ID] = i.Lifecycle.Leaving()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.fail(order, "what we know is not what there is (-AWS +we):\n"+diff)
	}
	for id, times := range s.aws.ended {
		if times > 1 {
			s.fail(order, fmt.Sprintf("%s lowered the desired capacity %d times", id, times))
		}
	}
}

func (p *process) look() {
	if err := p.cache.Refresh(p.t.Context()); err != nil {
		p.t.Errorf("refresh: %v", err)
	}
}

func (p *process) group() *asg.Group { return p.cache.Snapshot().Group("a") }

// What we do.

func look(p *process) { _ = p.cache.Refresh(p.t.Context()) }

func increase(n int) func(*process) {
	return func(p *process) { _, _ = p.cache.Increase(p.t.Context(), "a", n) }
}

func withdraw(n int) func(*process) {
	return func(p *process) { _, _, _ = p.cache.Withdraw(p.t.Context(), "a", n) }
}

func terminate(ids ...string) func(*process) {
	return func(p *process) { _, _ = p.cache.Terminate(p.t.Context(), "a", ids) }
}

// grow asks for what is missing for n instances, as the core does: by what the last reading showed.
func grow(n int) func(*process) {
	return func(p *process) {
		if g := p.group(); g != nil && g.TargetInstances() < n {
			increase(n - g.TargetInstances())(p)
		}
	}
}

func oneAfterTheOther(scripts ...func(*process)) func(*process) {
	return func(p *process) {
		for _, script := range scripts {
			script(p)
		}
	}
}

// What others do.

func sets(who string, desired int) writer {
	return writer{who, []act{{fmt.Sprintf("sets %d", desired), func(m *modelAWS) { m.set(who, desired) }}}}
}

// anotherAutoscaler reads, and then sets what it read and some more.
func anotherAutoscaler(more int) writer {
	read := 0
	const who = "another autoscaler"
	return writer{who, []act{
		{"reads", func(m *modelAWS) { read = m.desired }},
		{fmt.Sprintf("sets %d more", more), func(m *modelAWS) { m.set(who, read+more) }},
	}}
}

var (
	azRebalance = writer{"AZRebalance", []act{
		{"launches one beyond the desired capacity", func(m *modelAWS) { m.surplus++; m.arrive(zoneA); m.changed("AZRebalance") }},
		{"ends the oldest for it", func(m *modelAWS) { m.surplus--; m.end("AZRebalance", m.oldest(), false) }},
	}}
	instanceRefresh = writer{"instance refresh", []act{{"ends the oldest", func(m *modelAWS) { m.end("instance refresh", m.oldest(), false) }}}}
	reclaim         = writer{"EC2", []act{{"reclaims the oldest", func(m *modelAWS) { m.end("EC2", m.oldest(), false) }}}}
	nodegroupUpdate = writer{"EKS", []act{
		{"raises maximum and desired capacity by 1", func(m *modelAWS) { m.upper++; m.set("EKS", m.desired+1) }},
		{"ends the oldest", func(m *modelAWS) { m.end("EKS", m.oldest(), false) }},
		{"lowers maximum and desired capacity by 1", func(m *modelAWS) { m.upper--; m.set("EKS", min(m.desired-1, m.upper)) }},
	}}
	endsOne = writer{"an operator", []act{{"ends the oldest and lowers the desired capacity", func(m *modelAWS) { m.end("an operator", m.oldest(), true) }}}}
)

func foreigners() []writer {
	return []writer{sets("a scheduled action", 5), sets("a scheduled action", 2), anotherAutoscaler(1), azRebalance, instanceRefresh, reclaim, nodegroupUpdate, endsOne}
}

// noKill is that no instance was ended on account of a write of ours.
func noKill(s *sim) string {
	if ids := s.aws.killedByUs(); len(ids) > 0 {
		return fmt.Sprintf("AWS ended %v because of a write of ours", ids)
	}
	return ""
}

func TestEveryInterleaving(t *testing.T) {
	_ = aws.String
	_ = slices.Contains[[]int]
	writes := map[string]func(*process){"increase": increase(2), "withdraw": withdraw(2), "terminate": terminate("i-1")}
	for _, mode := range []asg.LaunchMode{asg.LaunchAuto, asg.LaunchDesiredCapacity} {
		for name, script := range writes {
			for _, f := range foreigners() {
				t.Run(fmt.Sprintf("%s/%s/%s", mode, name, f.who), func(t *testing.T) {
					t.Parallel()
					sc := &scenario{mode: mode, lower: 0, desired: 3, upper: 10, script: script, foreign: []writer{f}, check: noKill}
					if name == "withdraw" {
						if mode == asg.LaunchAuto {
							t.Skip()
						}
						sc.before = increase(2)
					}
					start := time.Now()
					blind := 0
					n := everySchedule(t, func(t *testing.T, order *schedule) {
						s := sc.play(t, order)
						if s.aws.blind > 0 {
							blind++
						}
					})
					t.Logf("%d interleavings, %d blind, %s", n, blind, time.Since(start))
				})
			}
		}
	}
}
