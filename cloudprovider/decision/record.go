package decision

import (
	"slices"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Record holds the decisions of the running process. It is safe for use by several goroutines.
//
// Writers hand over facts and go on. They never wait for a reader, because a reader puts the facts into words: the function that Looped
// takes runs when somebody reads the next Report, at most once, and no other one runs beside it.
type Record struct {
	clock clock.PassiveClock

	mu       sync.Mutex
	facts    facts
	observer Observer // nil for none

	making sync.Mutex // held by the reader that makes a Report
}

// facts are everything a Report is made of. A copy may be read without a lock: lists are replaced, and never changed.
type facts struct {
	at       time.Time
	process  Process
	reading  Reading
	loop     Loop
	words    func() Words // of the last loop
	once     func() Words // the same within the bounds, made once
	calls    func() []Call
	shadow   func() *Shadow
	launches []Launch // newest first
	timeline []Entry  // newest first
	spend    Spend
}

// Observer counts what a Record is given. The Record calls it at each write, after it has released its lock, so an Observer may call
// Report. Calls may come from several goroutines at once. They must not block.
type Observer interface {
	Decided(Entry)   // each new entry of the timeline, once
	Launched(Launch) // each launch, once, when it has ended
}

// Words are what a loop found out, put into words. The lists may be in any order.
type Words struct {
	Groups   []Group
	Pods     []Pod
	Searches []Search
	Nodes    []Node

	left int // pods that are missing in Pods
}

func New(process Process, c clock.PassiveClock) *Record {
	r := &Record{clock: c, facts: facts{at: c.Now(), process: process, words: func() Words { return Words{} },
		calls: func() []Call { return nil }, shadow: func() *Shadow { return nil }}}
	r.facts.reword()
	return r
}

// SetProcess replaces the facts about the process, but not the holder of the lease. Each new Report asks calls for the calls of AWS.
func (r *Record) SetProcess(p Process, calls func() []Call) {
	r.change(func(f *facts) {
		p.Holder = f.process.Holder
		f.process, f.calls = p, calls
	})
}

func (r *Record) SetHolder(name string) { r.change(func(f *facts) { f.process.Holder = name }) }

// Looped replaces everything that a loop finds out in one change. The Record takes over the lists that words returns, and calls it, if
// at all, when somebody reads.
func (r *Record) Looped(l Loop, words func() Words) {
	r.change(func(f *facts) {
		l.Result.clip(f.process.Region)
		f.loop, f.words = l, words
		f.reword()
	})
}

// Reword has the last loop put into words again, because the writer knows more about it by now.
func (r *Record) Reword() { r.change((*facts).reword) }

func (f *facts) reword() {
	words, region := f.words, f.process.Region
	f.once = sync.OnceValue(func() Words { return words().bounded(region) })
}

func (r *Record) SetReading(reading Reading) {
	r.change(func(f *facts) {
		reading.Failure.clip(f.process.Region)
		f.reading = reading
	})
}

func (r *Record) Reading() Reading {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.facts.reading
}

// ShadowFrom has every new Report ask for the comparison with the leader.
func (r *Record) ShadowFrom(shadow func() *Shadow) { r.change(func(f *facts) { f.shadow = shadow }) }

// SetCluster sets the name of the cluster, which may turn out late.
func (r *Record) SetCluster(name string) { r.change(func(f *facts) { f.process.Cluster = name }) }

func (r *Record) Observe(o Observer) { r.change(func(*facts) { r.observer = o }) }

func (r *Record) Launched(l Launch) {
	if o := r.change(func(f *facts) {
		l.Outcome.clip(f.process.Region)
		f.launches = newest(l, f.launches, maxLaunches)
	}); o != nil {
		o.Launched(l)
	}
}

// Decided adds an entry to the timeline, now if the entry has no time.
func (r *Record) Decided(e Entry) {
	if o := r.change(func(f *facts) {
		e.Reason.clip(f.process.Region)
		if e.At.IsZero() {
			e.At = f.at
		}
		f.timeline = folded(newest(e, f.timeline, maxEntries))
	}); o != nil {
		o.Decided(e)
	}
}

// folded returns the timeline in which a failed launch, if it is the newest, counts the earlier one that is the same, and replaces it.
func folded(timeline []Entry) []Entry {
	e := &timeline[0]
	if e.Kind != LaunchFailed {
		return timeline
	}
	at := slices.IndexFunc(timeline[1:], func(was Entry) bool {
		return was.Kind == e.Kind && was.Group == e.Group && was.Node == e.Node && was.Reason == e.Reason
	}) + 1
	if at > 0 {
		e.Times = max(1, timeline[at].Times) + 1
		timeline = slices.Delete(timeline, at, at+1)
	}
	return timeline
}

func (r *Record) Spent(s Spend) { r.change(func(f *facts) { f.spend = s }) }

func (r *Record) change(change func(*facts)) Observer {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.facts.at = r.clock.Now()
	change(&r.facts)
	return r.observer
}

// Report returns what is known now. The caller must not change it.
func (r *Record) Report() *Report {
	r.making.Lock()
	defer r.making.Unlock()
	r.mu.Lock()
	f := r.facts
	r.mu.Unlock()
	return f.report()
}
