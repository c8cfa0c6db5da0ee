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
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
)

// An explorer goes through every order of events, depth first. Where a run comes to a state in which one before it was, what
// can follow has been seen, and is not seen again: what we do depends on nothing but the answers we got.
type explorer struct {
	path  []place           // of the run under way
	known map[string]uint64 // how many ways lead on from a state, once all have been gone
	runs  int
}

// A place is where several things could come next.
type place struct {
	state     string
	taken, of int
	ways      uint64 // that have been gone
}

// A schedule is one order of events.
type schedule struct {
	*explorer
	depth int
	ways  uint64   // for which it stands, 0 until that is known
	trace []string // what happened
}

// choose takes the next way in this order. ok is false where all that can follow has been seen.
func (s *schedule) choose(state func() string, options []option) (next option, ok bool) {
	if s.depth == len(s.path) {
		key := state()
		if s.ways, ok = s.known[key]; ok {
			return option{}, false
		}
		s.path = append(s.path, place{state: key, of: len(options)})
	}
	at := s.path[s.depth]
	if s.depth++; at.of != len(options) {
		panic(fmt.Sprintf("the same steps led elsewhere: there were %d options, and now %d:\n%s", at.of, len(options), numbered(s.trace)))
	}
	s.trace = append(s.trace, options[at.taken].name)
	return options[at.taken], true
}

// next goes back to the last place from which not all ways have been gone. It returns false when there is none.
func (e *explorer) next(ways uint64) bool {
	for len(e.path) > 0 {
		last := &e.path[len(e.path)-1]
		last.ways += ways
		if last.taken++; last.taken < last.of {
			return true
		}
		ways, e.known[last.state] = last.ways, last.ways
		e.path = e.path[:len(e.path)-1]
	}
	return false
}

// everySchedule runs until every order of events has been seen, or one has failed, and returns how many orders and runs.
func everySchedule(t *testing.T, run func(*testing.T, *schedule)) (orders uint64, runs int) {
	e := &explorer{known: map[string]uint64{}}
	for {
		s := &schedule{explorer: e}
		synctest.Test(t, func(t *testing.T) { run(t, s) })
		e.runs++
		ways := max(1, s.ways)
		orders += ways
		if t.Failed() || !e.next(ways) {
			return orders, e.runs
		}
	}
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

	life context.Context // of all scripts, without a log

	mu      sync.Mutex
	waiting []*call // guarded by mu

	processes []*process
	began     time.Time
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
	answerLost  = "answer lost"
	requestLost = "request lost"
)

// stale is how a reading goes that shows what was before so many changes.
func stale(changes int) string { return fmt.Sprintf("as it was %d changes before", changes) }

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

	looked  int // the change after which it has looked again
	scripts []*script

	history strings.Builder // the answers that it got, guarded by mu
}

// A script is what a process does, one thing after the other.
type script struct {
	*process
	ctx  context.Context
	seen int // the change that its last reading showed
	most int // the newest change that the process had read by then
	set  int // the desired capacity that the write under way has set
}

type scriptKey struct{}

// scriptOf is the script that makes a call.
func scriptOf(ctx context.Context) *script { return ctx.Value(scriptKey{}).(*script) }

func (p *process) newScript() *script {
	s := &script{process: p}
	s.ctx = context.WithValue(p.life, scriptKey{}, s)
	p.scripts = append(p.scripts, s)
	return s
}

// run has a script of the process begin at its moment, or now if it has no name.
func (p *process) run(name string, do func(*script)) {
	s := p.newScript()
	p.left++
	go func() {
		if name != "" {
			_, _ = p.wait(s.ctx, "begin to "+name, true)
		}
		do(s)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.left--
	}()
}

func (s *sim) newProcess(name string) *process {
	p := &process{sim: s, name: name}
	p.calls = &modelCalls{process: p}
	p.cache = asg.NewCache(asg.Options{
		AutoScaling: p.calls, Launches: launchspec.APIs{EC2: modelEC2{}}, Discovery: discovered,
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
		p.told(name, how)
		return how, nil
	case <-ctx.Done():
		p.forget(c)
		return "", ctx.Err()
	}
}

// told notes an answer that the process got.
func (p *process) told(what ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintln(&p.history, what...)
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

// alive is the process that lives.
func (s *sim) alive() *process { return s.processes[len(s.processes)-1] }

// overlooked reports whether there is more than desired and none of our readings since has shown that.
func (s *sim) overlooked() bool {
	return !s.prompt && s.aws.victim() != nil && !s.busy() && s.alive().looked < s.aws.overAt
}

// mayEnd reports whether AWS may scale in now: if it is not prompt, it takes longer to than we take to end a write and to look.
func (s *sim) mayEnd() bool { return s.prompt || !s.busy() && !s.overlooked() }

// options are what could come next.
func (s *sim) options() []option {
	var options []option
	for _, c := range s.ready() {
		options = append(options, s.optionsOf(c)...)
	}
	options = append(options, s.aws.steps(s)...)
	if p := s.alive(); s.overlooked() {
		options = append(options, option{p.name + ": look again", func() {
			time.Sleep(time.Second)
			left, at := s.staleLeft+s.lossLeft, s.aws.overAt
			p.run("", func(script *script) {
				asg.ReadMoving(p.cache, script.ctx)
				if left == s.staleLeft+s.lossLeft {
					p.looked = at
				}
			})
		}})
	}
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
			s.newProcess("then").run("", s.restart)
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
		for back := 1; back <= s.depth && s.staleLeft > 0 && s.aws.hasPast(back); back++ {
			options = append(options, choose(name+" "+stale(back), stale(back), &s.staleLeft))
		}
	} else if s.lossLeft > 0 {
		options = append(options, choose(name+", of which the answer is lost", answerLost, &s.lossLeft),
			choose(name+", which never arrives", requestLost, &s.lossLeft))
	}
	return options
}

// settled is how long nothing can happen before a run is given up.
const settled = 3 * time.Minute

// state is all that what can follow depends on.
func (s *sim) state() string {
	var text strings.Builder
	fmt.Fprintln(&text, time.Since(s.began)/time.Second, s.staleLeft, s.lossLeft, s.crashed)
	past := 0
	if s.staleLeft > 0 {
		past = s.depth
	}
	s.aws.write(&text, past)
	ready := s.ready()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.processes {
		if !p.dead {
			fmt.Fprintln(&text, p.name, p.left, p.looked >= s.aws.overAt, p.calls.most >= s.aws.wishAt, p.history.String())
			for _, script := range p.scripts {
				fmt.Fprintln(&text, script.most >= s.aws.wishAt, script.seen >= s.aws.wishAt, script.seen == s.aws.changes, script.set)
			}
		}
	}
	for _, c := range ready {
		fmt.Fprintln(&text, c.process.name, c.name, c.split)
	}
	return text.String()
}

// play lets everything happen in the order of the schedule, and checks what must always hold after every step. It returns false
// where what follows has been seen.
func (s *sim) play(order *schedule) bool {
	for quiet := time.Duration(0); ; {
		synctest.Wait()
		options := s.options()
		if len(options) == 0 {
			if !s.busy() {
				return true
			}
			if quiet += time.Second; quiet > settled {
				s.fail(order, "a write of ours does not end")
			}
			time.Sleep(time.Second)
			continue
		}
		next, ok := order.choose(s.state, options)
		if !ok {
			return false
		}
		next.do()
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
