package asg_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
)

// A schedule is one order of events: of all that could come next, what did, again and again.
type schedule struct {
	prefix    []int // what to take; the first possibility thereafter
	taken, of []int // what was taken, of how many
	trace     []string
}

func (s *schedule) choose(options []option) option {
	pick := 0
	if at := len(s.taken); at < len(s.prefix) {
		pick = s.prefix[at]
	}
	s.taken, s.of = append(s.taken, pick), append(s.of, len(options))
	s.trace = append(s.trace, options[pick].name)
	return options[pick]
}

// next is the prefix of the schedule after this one, depth first; false after the last.
func (s *schedule) next() ([]int, bool) {
	for last := len(s.taken) - 1; last >= 0; last-- {
		if s.taken[last]+1 < s.of[last] {
			return append(slices.Clone(s.taken[:last]), s.taken[last]+1), true
		}
	}
	return nil, false
}

// everySchedule calls run once with every schedule there is until one fails, and returns how many that were.
func everySchedule(t *testing.T, run func(*testing.T, *schedule)) (count int) {
	for prefix, more := []int(nil), true; more && !t.Failed(); count++ {
		s := &schedule{prefix: prefix}
		synctest.Test(t, func(t *testing.T) { run(t, s) })
		prefix, more = s.next()
	}
	return count
}

// An option is something that could happen next.
type option struct {
	name string
	do   func()
}

// A sim is one run of a scenario: processes of ours, each of whose calls waits to be chosen, AWS, and others who write. It
// lives in a synctest bubble: once all goroutines wait, what can happen next is known, and nothing happens but that.
type sim struct {
	*scenario
	t   *testing.T
	aws *modelAWS

	mu      sync.Mutex
	waiting []*call // guarded by mu

	processes []*process
	staleLeft int
	lossLeft  int
	crashed   bool
}

// A call of one of our processes that waits for its moment.
type call struct {
	process *process
	name    string
	split   bool        // it has had its moment, and its answer waits
	chosen  chan string // how it goes
}

// How a call goes: without a word, as it should.
const (
	stale       = "stale"
	answerLost  = "answer lost"
	requestLost = "request lost"
)

var errLost = errors.New("connection reset by peer")

// A process is one life of the autoscaler, with what it knows of one group.
type process struct {
	*sim
	name  string
	cache *asg.Cache
	calls *modelCalls

	free bool // its calls wait no longer
	dead bool
	left int // scripts that have not ended
}

// run starts a script of the process.
func (p *process) run(script func(*process)) {
	p.left++
	go func() {
		script(p)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.left--
	}()
}

func (s *sim) newProcess(name string) *process {
	p := &process{sim: s, name: name}
	p.calls = &modelCalls{process: p}
	p.cache = asg.NewCache(asg.Options{
		AutoScaling: p.calls, Discovery: asg.Discovery{Filters: []asg.TagFilter{{{Key: discoveryTag}}}},
		RefreshInterval: time.Minute, MotionInterval: time.Second, Clock: clock.RealClock{}, LaunchMode: s.mode,
	})
	s.processes = append(s.processes, p)
	return p
}

// wait returns when the call is chosen, and how it goes.
func (p *process) wait(ctx context.Context, name string, split bool) (string, error) {
	if p.free {
		return "", nil
	}
	c := &call{process: p, name: name, split: split, chosen: make(chan string)}
	p.mu.Lock()
	p.waiting = append(p.waiting, c)
	p.mu.Unlock()
	select {
	case how := <-c.chosen:
		return how, nil
	case <-ctx.Done():
		p.forget(c)
		return "", ctx.Err()
	}
}

func (s *sim) forget(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = slices.DeleteFunc(s.waiting, func(x *call) bool { return x == c })
}

// ready are the calls that wait, in an order that does not depend on when they came.
func (s *sim) ready() []*call {
	s.mu.Lock()
	defer s.mu.Unlock()
	ready := slices.DeleteFunc(slices.Clone(s.waiting), func(c *call) bool { return c.process.dead })
	slices.SortStableFunc(ready, func(x, y *call) int {
		return cmp.Or(cmp.Compare(x.process.name, y.process.name), cmp.Compare(x.name, y.name))
	})
	return ready
}

// busy reports whether a script of a living process has not ended.
func (s *sim) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.processes, func(p *process) bool { return !p.dead && p.left > 0 })
}

// options are what could come next.
func (s *sim) options() []option {
	var options []option
	for _, c := range s.ready() {
		options = append(options, s.optionsOf(c)...)
	}
	options = append(options, s.aws.steps(s)...)
	for at := range s.foreign {
		f := &s.foreign[at]
		if done := s.aws.done[f.who]; done < len(f.acts) {
			options = append(options, option{f.who + ": " + f.acts[done].name, func() {
				s.aws.done[f.who]++
				f.acts[done].do(s.aws)
			}})
		}
	}
	if first := s.processes[0]; s.restart != nil && !s.crashed && first.left > 0 {
		options = append(options, option{"we are killed and start anew", func() {
			s.crashed, first.dead = true, true
			s.newProcess("then").run(s.restart)
		}})
	}
	return options
}

func (s *sim) optionsOf(c *call) []option {
	choose := func(name, how string, cost *int) option {
		return option{name, func() {
			if cost != nil {
				*cost--
			}
			s.forget(c)
			c.chosen <- how
		}}
	}
	name := c.process.name + ": " + c.name
	options := []option{choose(name, "", nil)}
	if c.split {
		return options
	}
	if strings.HasPrefix(c.name, "read") {
		if s.staleLeft > 0 && s.aws.hasPast() {
			options = append(options, choose(name+" as it was before the last change", stale, &s.staleLeft))
		}
	} else if s.lossLeft > 0 {
		options = append(options, choose(name+", of which the answer is lost", answerLost, &s.lossLeft),
			choose(name+", which never arrives", requestLost, &s.lossLeft))
	}
	return options
}

// settled is how long nothing can happen before a run is given up.
const settled = 3 * time.Minute

// play lets everything happen in the order of the schedule, and checks what must always hold after every step.
func (s *sim) play(order *schedule) {
	for quiet := time.Duration(0); ; {
		synctest.Wait()
		options := s.options()
		if len(options) == 0 {
			if !s.busy() {
				return
			}
			if quiet += time.Second; quiet > settled {
				s.fail(order, "a write of ours does not end")
			}
			time.Sleep(time.Second)
			continue
		}
		quiet = 0
		order.choose(options).do()
		synctest.Wait()
		time.Sleep(time.Millisecond)
		if wrong := s.aws.wrong; wrong != "" {
			s.fail(order, wrong)
		}
	}
}

func (s *sim) fail(order *schedule, wrong string) {
	s.t.Helper()
	s.t.Fatalf("%s, after:\n%s", wrong, numbered(order.trace))
}

// numbered is a trace, a step a line.
func numbered(trace []string) string {
	var text strings.Builder
	for at, step := range trace {
		fmt.Fprintf(&text, "  %2d. %s\n", at+1, step)
	}
	return text.String()
}
