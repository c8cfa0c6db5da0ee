package ledger_test

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ledger"
)

// The test here goes through every sequence of a few events: readings of any age, writes of ours with every outcome, and what AWS and others do. It
// holds the rules of the package after each event, and in the end that we know what there is.

// certain is the doubted desired capacity if none is in doubt.
const certain = -1000

// state is the group as AWS has it.
type state struct {
	desired    int
	instances  []group.Instance
	terminated bool // by us, and nothing else has changed
	ended      int  // instances that we have terminated so far
}

// world is one sequence of events.
type world struct {
	*ledger.Ledger
	now   time.Time
	past  []state // the last is the present
	since []time.Time
	count int // instances so far

	stated   int  // the desired capacity in the last reading, less our terminations that it misses
	ours     int  // instances that AWS may launch for a raise of ours
	floor    int  // our last accepted desired capacity, less our terminations since, 0 once somebody else wrote
	wroteAt  int  // the state that our last accepted write of a desired capacity made
	sure     bool // nobody else has written, and no answer was lost: we know the desired capacity
	doubted  int  // the desired capacity that AWS took from us or not, or certain
	launches []group.Instance
	seen     int // the newest state that a reading has shown
	key      ledger.Key
	began    time.Time // our last write of a desired capacity
	broken   string
}

func newWorld() *world {
	w := &world{Ledger: ledger.New(), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), doubted: certain, sure: true}
	first := state{desired: 3}
	for range 3 {
		first.instances = append(first.instances, w.instance())
	}
	w.become(first)
	w.read(0)
	w.now = w.now.Add(2 * time.Minute)
	w.read(0)
	return w
}

func (w *world) instance() group.Instance {
	w.count++
	return group.Instance{ID: fmt.Sprint("i-", w.count), Zone: "a", Lifecycle: "InService", Weight: 1}
}

func (w *world) aws() state { return w.past[len(w.past)-1] }

func (w *world) become(s state) {
	w.past, w.since = append(w.past, s), append(w.since, w.now)
}

// change is a change by AWS or somebody else.
func (w *world) change(do func(*state)) {
	s := w.aws()
	s.instances, s.terminated = slices.Clone(s.instances), false
	do(&s)
	w.become(s)
}

func (w *world) fail(format string, args ...any) {
	if w.broken == "" {
		w.broken = fmt.Sprintf(format, args...)
	}
}

// counted is how many instances of the state count.
func (s state) counted() int {
	return len(slices.DeleteFunc(slices.Clone(s.instances), func(i group.Instance) bool { return !i.Lifecycle.Counts() }))
}

// oldest returns the place of the oldest instance that stays, or -1.
func (s state) oldest() int {
	return slices.IndexFunc(s.instances, func(i group.Instance) bool { return i.Lifecycle.Counts() })
}

// read has the ledger read the state of so many changes ago. It reports whether there was one that a reading may still show.
func (w *world) read(back int) bool {
	at := len(w.past) - 1 - back
	if at < 0 || back > 0 && w.now.Sub(w.since[at+1]) >= ledger.ReadingLag {
		return false
	}
	w.seen = max(w.seen, at)
	w.show(at, w.past[at])
	return true
}

// readHalf has the ledger read our termination by halves: the lower desired capacity, and no instance that leaves. It reports whether that was the last
// change.
func (w *world) readHalf() bool {
	at := len(w.past) - 1
	half := w.past[at]
	if !half.terminated {
		return false
	}
	half.instances = w.past[at-1].instances
	w.show(at, half)
	return true
}

// show has the ledger read a state, the one of that place or half of it.
func (w *world) show(at int, s state) {
	known := 0
	if g := w.Group(); g != nil {
		known = g.DesiredCapacity
	}
	w.Read(&group.Group{Name: "a", MaxSize: 20, Zones: []string{"a"}, DesiredCapacity: s.desired, Instances: slices.Clone(s.instances), ReadAt: w.now})
	got := w.Group().DesiredCapacity
	switch {
	case got < known && got == w.doubted, at < w.wroteAt && s.desired == w.past[w.wroteAt].desired:
		w.floor, w.wroteAt, w.seen = 0, 0, at // nobody can tell the old reading from one that shows our write
	case got < known && at < w.wroteAt:
		w.fail("a reading that was older than our write lowered %d to %d", known, got)
	}
	w.stated = w.Group().StatedCapacity
	if s.desired == w.doubted || w.now.Sub(w.began) >= ledger.ReadingLag {
		w.doubted = certain
	}
}

// writing reports whether a launch is under way. Writes to a group follow each other.
func (w *world) writing() bool { return len(w.launches) > 0 }

// wanted is the least desired capacity that AWS has had since the newest state that a reading has shown, less our terminations.
func (w *world) wanted() int {
	least := w.aws().desired
	for _, s := range w.past[w.seen:] {
		least = min(least, s.desired-w.aws().ended+s.ended)
	}
	return least
}

// accepted enters that AWS has taken a desired capacity from us.
func (w *world) accepted(desired int) {
	w.floor, w.stated, w.wroteAt, w.doubted = desired, desired, len(w.past)-1, certain
}

// raise raises the desired capacity by an instance. done reports that AWS does it, and answered that it tells us.
func (w *world) raise(done, answered bool) bool {
	g := w.Group()
	plan, err := w.PlanRaise(g, g.Reached(), 1)
	switch {
	case err != nil || w.writing():
		return false
	case plan.Desired < w.stated:
		w.fail("a raise sets %d, and the last reading states %d", plan.Desired, w.stated)
	case plan.Desired < w.wanted():
		w.fail("a raise sets %d, and a reading has shown what is %d now", plan.Desired, w.wanted())
	case plan.Desired < w.doubted:
		w.fail("a raise sets %d, and AWS may have taken %d from us", plan.Desired, w.doubted)
	case plan.Desired <= w.floor:
		w.fail("a raise sets %d, and we had set %d", plan.Desired, w.floor)
	}
	w.Attempt(plan.Desired, g.Excess(), w.now)
	doubted, began := w.doubted, w.began
	w.doubted, w.began = plan.Desired, w.now
	if !done && answered {
		w.doubted, w.began = doubted, began
		w.Refused()
		return true
	}
	if done {
		w.change(func(s *state) { s.desired = plan.Desired })
	}
	w.sure = w.sure && answered
	w.ours++
	if answered {
		w.accepted(plan.Desired)
	}
	w.Raised(plan, answered, w.now, w.now, w.now)
	return true
}

// withdraw takes back an instance of ours. After a lost answer, a reading decides.
func (w *world) withdraw(done, answered bool) bool {
	g := w.Group()
	plan := w.PlanWithdrawal(g, 1)
	if plan.Desired == g.DesiredCapacity || w.writing() {
		return false
	}
	switch {
	case plan.Instances > w.ours:
		w.fail("%d are withdrawn, and %d are ours", plan.Instances, w.ours)
	case plan.Desired < w.stated-plan.Instances:
		w.fail("a withdrawal of %d sets %d, and the last reading states %d", plan.Instances, plan.Desired, w.stated)
	case plan.Desired < w.wanted()-plan.Instances:
		w.fail("a withdrawal of %d sets %d, and a reading has shown what is %d now", plan.Instances, plan.Desired, w.wanted())
	case plan.Desired < g.CountedCapacity():
		w.fail("a withdrawal sets %d, and there are %d", plan.Desired, g.CountedCapacity())
	}
	w.Attempt(plan.Desired, g.Excess(), w.now)
	doubted, began := w.doubted, w.began
	w.doubted, w.began = plan.Desired, w.now
	if done {
		w.change(func(s *state) { s.desired = plan.Desired })
	}
	switch {
	case done && answered:
	case answered:
		w.doubted, w.began = doubted, began
		w.Refused()
		w.NotWithdrawn(w.now.Add(time.Minute))
		return true
	default:
		w.now, w.sure = w.now.Add(time.Second), false
		if w.read(0); w.Group().DesiredCapacity > plan.Desired {
			w.NotWithdrawn(w.now)
			return true
		}
	}
	w.ours -= plan.Instances
	w.accepted(plan.Desired)
	w.Withdrew(plan, w.now)
	return true
}

// terminate terminates the oldest instance that we know.
func (w *world) terminate(answered bool) bool {
	s, g := w.aws(), w.Group()
	at := s.oldest()
	if at < 0 || s.desired == 0 || w.writing() {
		return false
	}
	i := g.Instance(s.instances[at].ID)
	if i == nil || i.Lifecycle.Leaving() {
		return false
	}
	w.change(func(s *state) { s.desired--; s.ended++; s.instances[at].Lifecycle, s.terminated = "Terminating", true })
	w.floor--
	if answered {
		w.Terminated([]group.Instance{*i}, true, w.now)
		w.stated = w.Group().StatedCapacity
		w.doubted += w.Group().DesiredCapacity - g.DesiredCapacity
	} else {
		w.floor, w.sure = 0, false // readings show it, sooner or later
	}
	return true
}

// fails has a launch of ours fail after a reading. AWS may show the capacity meanwhile, and takes it back.
func (w *world) fails(shown int) bool {
	if w.writing() {
		return false
	}
	w.BeginLaunch(1)
	if shown > 0 {
		w.sure = false
		w.change(func(s *state) { s.desired += shown })
	}
	w.read(0)
	if shown > 0 {
		w.change(func(s *state) { s.desired -= shown })
	}
	w.Launched(ledger.KeyOf(w.Group(), "a", 0, w.now), nil, w.now)
	w.EndLaunch()
	return true
}

// An event reports whether it can happen in the world.
type event struct {
	name string
	do   func(*world) bool
}

// others is an event that our own writes do not explain.
func others(do func(*state) bool) func(*world) bool {
	return func(w *world) (possible bool) {
		was := *w
		if w.change(func(s *state) { possible = do(s) }); !possible {
			*w = was
		}
		return possible
	}
}

var events = []event{
	{"a reading", func(w *world) bool { return w.read(0) }},
	{"a reading one change old", func(w *world) bool { return w.read(1) }},
	{"a reading two changes old", func(w *world) bool { return w.read(2) }},
	{"a reading of half our termination", (*world).readHalf},
	{"we raise", func(w *world) bool { return w.raise(true, true) }},
	{"we raise, and the answer is lost", func(w *world) bool { return w.raise(true, false) }},
	{"we raise, and the request is lost", func(w *world) bool { return w.raise(false, false) }},
	{"we raise, and are refused", func(w *world) bool { return w.raise(false, true) }},
	{"we withdraw", func(w *world) bool { return w.withdraw(true, true) }},
	{"we withdraw, and the answer is lost", func(w *world) bool { return w.withdraw(true, false) }},
	{"we withdraw, and the request is lost", func(w *world) bool { return w.withdraw(false, false) }},
	{"we withdraw, and are refused", func(w *world) bool { return w.withdraw(false, true) }},
	{"we terminate", func(w *world) bool { return w.terminate(true) }},
	{"we terminate, and the answer is lost", func(w *world) bool { return w.terminate(false) }},
	{"we ask for a launch, and AWS launches", func(w *world) bool {
		if w.writing() {
			return false
		}
		w.key = ledger.KeyOf(w.Group(), "a", 0, w.now)
		w.BeginLaunch(1)
		w.launches = []group.Instance{w.instance()}
		w.change(func(s *state) { s.desired++; s.instances = append(s.instances, w.launches...) })
		return true
	}},
	{"we learn of the launch", func(w *world) bool {
		if !w.writing() {
			return false
		}
		known := w.Group().DesiredCapacity
		w.Launched(w.key, w.launches, w.now)
		w.EndLaunch()
		w.launches, w.stated = nil, w.Group().StatedCapacity
		w.doubted += w.Group().DesiredCapacity - known
		return true
	}},
	{"a launch fails", func(w *world) bool {
		if w.writing() {
			return false
		}
		w.BeginLaunch(1)
		w.Launched(ledger.KeyOf(w.Group(), "a", 0, w.now), nil, w.now)
		w.EndLaunch()
		return true
	}},
	{"a launch fails after a reading", func(w *world) bool { return w.fails(0) }},
	{"a launch fails after a reading has shown it", func(w *world) bool { return w.fails(1) }},
	{"AWS launches what is missing", func(w *world) bool {
		if s := w.aws(); s.counted() >= s.desired {
			return false
		}
		w.change(func(s *state) { s.instances = append(s.instances, w.instance()) })
		return true
	}},
	{"EC2 reclaims an instance", others(func(s *state) bool {
		at := s.oldest()
		if at >= 0 {
			s.instances[at].Lifecycle = "Terminating"
		}
		return at >= 0
	})},
	{"another writer sets two more", func(w *world) bool {
		w.sure = false
		w.change(func(s *state) { s.desired += 2 })
		return true
	}},
	{"another writer sets one less", func(w *world) bool {
		if w.aws().desired == 0 {
			return false
		}
		w.floor, w.sure = 0, false
		w.change(func(s *state) { s.desired-- })
		return true
	}},
	{"a minute passes", func(w *world) bool { w.now = w.now.Add(time.Minute); return true }},
}

// agree checks that we know what there is, once no reading can be older than what we know.
func (w *world) agree() {
	w.now = w.now.Add(2 * time.Minute)
	w.read(0)
	s, g := w.aws(), w.Group()
	if g.DesiredCapacity != s.desired || g.CountedCapacity() != s.counted() {
		w.fail("in the end we know %d of %d, and there are %d of %d", g.CountedCapacity(), g.DesiredCapacity, s.counted(), s.desired)
	}
}

func TestNoSequenceBreaksRule(t *testing.T) {
	t.Parallel()
	usual := debug.SetGCPercent(3000) // little lives, and collecting it takes a quarter of the time
	t.Cleanup(func() { debug.SetGCPercent(usual) })
	few := []string{"a reading", "we raise", "we withdraw", "AWS launches what is missing", "another writer sets two more", "a minute passes"}
	for _, tt := range []struct {
		name   string
		events []event
		length int
		least  int // sequences
	}{
		{"of all events", events, 5, 900_000},
		{"of raises and withdrawals", slices.DeleteFunc(slices.Clone(events), func(e event) bool { return !slices.Contains(few, e.name) }), 7, 100_000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() {
				tt.length-- // takes a tenth of the time
			}
			sequences := 0
			var extend func(before *world, path []event)
			extend = func(before *world, path []event) {
				spare := before.copy()
				for _, e := range tt.events {
					w, path := spare, append(path, e)
					if sequences++; !w.play(e) {
						w.now = before.now // nothing else has changed
						continue
					}
					spare = before.copy()
					var longer *world
					if len(path) < tt.length {
						longer = w.copy()
					}
					w.agree()
					if w.broken != "" {
						t.Errorf("%s: %s", said(path), w.broken)
					} else if longer != nil {
						extend(longer, path)
					}
				}
			}
			extend(newWorld(), make([]event, 0, tt.length))
			t.Logf("%d sequences", sequences)
			assert.Truef(t, testing.Short() || sequences >= tt.least, "%d sequences were played, want %d or more", sequences, tt.least)
		})
	}
}

// copy returns a world that goes on by itself.
func (w *world) copy() *world {
	c := *w
	c.Ledger, c.past, c.since = w.Copy(), slices.Clip(w.past), slices.Clip(w.since)
	return &c
}

// play has the event happen, and reports whether it can.
func (w *world) play(e event) bool {
	if w.now = w.now.Add(time.Second); !e.do(w) {
		return false
	}
	if known := w.Group().DesiredCapacity; w.sure && !w.writing() && known != w.aws().desired {
		w.fail("we know %d, and nobody but us has set %d", known, w.aws().desired)
	}
	return true
}

func said(path []event) string {
	names := make([]string, len(path))
	for at, e := range path {
		names[at] = e.name
	}
	return strings.Join(names, ", then ")
}
