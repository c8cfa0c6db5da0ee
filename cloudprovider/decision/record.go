package decision

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
)

// Record holds the decisions of the running process. It is safe for use by several goroutines.
//
// Writers hand over facts and go on. They never wait for a reader, because a reader puts the facts into words: the functions that the
// Set methods take run when somebody reads the next Report, at most once each, and one at a time.
type Record struct {
	clock clock.PassiveClock

	mu        sync.Mutex
	facts     facts
	waiting   chan struct{} // closed by the next change, nil while nobody waits
	observers []Observer

	changes atomic.Uint64
	making  sync.Mutex // held by the reader that makes the next Report
	last    atomic.Pointer[published]
}

// facts are everything a Report is made of. A copy may be read without a lock: lists only grow behind its end, or are replaced.
type facts struct {
	at       time.Time
	process  Process
	reading  Reading
	loop     Loop
	groups   *part[[]Group]
	pods     *part[Pending]
	nodes    *part[[]Node]
	calls    func() []Call
	launches []Launch // oldest first
	timeline []Entry  // oldest first
	spend    Spend
}

// published is a Report and the number of changes in it.
type published struct {
	report  *Report
	changes uint64
}

// Pending are pending pods. Equivalent pods share a Search, which Keep adds.
type Pending struct {
	Pods     []Pod
	Searches []Search
	Left     int // pods that are missing in Pods
	answers  int // of Searches
}

// ByName are the groups of a Report by name. The caller must not change them.
type ByName map[string]*Group

// New makes a Record without decisions.
func New(process Process, c clock.PassiveClock) *Record {
	return &Record{clock: c, facts: facts{at: c.Now(), process: process}}
}

// SetProcess replaces the facts about the process, but not the holder of the lease.
func (r *Record) SetProcess(p Process) {
	r.change(func(f *facts) {
		p.Holder = f.process.Holder
		f.process = p
	})
}

// SetHolder sets the name of the replica that holds the lease.
func (r *Record) SetHolder(name string) { r.change(func(f *facts) { f.process.Holder = name }) }

// Looped replaces everything that a loop finds out in one change: the loop, the groups, the pending pods and the nodes. The slices may be
// in any order, and the Record takes them over. It calls the functions, if at all, in this order and one at a time.
func (r *Record) Looped(l Loop, groups func() []Group, pods func(ByName) Pending, nodes func(ByName) []Node) {
	r.change(func(f *facts) {
		l.Result = l.Result.clipped(f.process.Region)
		f.loop, f.groups, f.pods, f.nodes = l, groupsPart(groups), podsPart(pods), nodesPart(nodes)
	})
}

// Reword has the pods of the last loop put into words again, because the writer knows more about them by now.
func (r *Record) Reword() {
	r.change(func(f *facts) {
		if f.pods != nil {
			f.pods = &part[Pending]{make: f.pods.make}
		}
	})
}

// SetReading replaces the last reading of the groups.
func (r *Record) SetReading(reading Reading) {
	r.change(func(f *facts) {
		reading.Failure = reading.Failure.clipped(f.process.Region)
		f.reading = reading
	})
}

// Reading returns the last reading of the groups.
func (r *Record) Reading() Reading {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.facts.reading
}

// CallsFrom has every new Report ask for the calls.
func (r *Record) CallsFrom(calls func() []Call) { r.change(func(f *facts) { f.calls = calls }) }

// SetCluster sets the name of the cluster, which may turn out late.
func (r *Record) SetCluster(name string) {
	r.mu.Lock()
	known := r.facts.process.Cluster == name
	r.mu.Unlock()
	if !known {
		r.change(func(f *facts) { f.process.Cluster = name })
	}
}

// Observe has the observer called from now on.
func (r *Record) Observe(o Observer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.observers = append(r.observers, o)
}

// Launched adds a launch.
func (r *Record) Launched(l Launch) {
	for _, o := range r.change(func(f *facts) {
		l.Outcome = l.Outcome.clipped(f.process.Region)
		f.launches = added(f.launches, l, maxLaunches)
	}) {
		o.Launched(l)
	}
}

// Decided adds an entry to the timeline, now if the entry has no time.
func (r *Record) Decided(e Entry) {
	for _, o := range r.change(func(f *facts) {
		e.Reason = e.Reason.clipped(f.process.Region)
		if e.At.IsZero() {
			e.At = f.at
		}
		f.timeline = added(f.timeline, e, maxEntries)
		f.timeline = folded(f.timeline, len(f.timeline)-1)
	}) {
		o.Decided(e)
	}
}

// LaunchedNothing corrects the last scale-up of a group: its launch failed, with the code.
func (r *Record) LaunchedNothing(group string, code Code) {
	r.change(func(f *facts) {
		for at := len(f.timeline) - 1; at >= 0; at-- {
			e := f.timeline[at]
			if e.Kind != ScaleUp || e.Group != group {
				continue
			}
			if e.Reason.Code == CodeLaunching {
				e.Reason.Code, e.Reason.Message = code, clip(e.Reason.Message+", and nothing was launched")
				f.timeline = slices.Clone(f.timeline) // readers have the others
				f.timeline[at] = e
				f.timeline = folded(f.timeline, at)
			}
			return
		}
	})
}

// folded returns the timeline in which the failed launch or scale-up at the index counts the earlier one that is the same, and replaces it.
func folded(timeline []Entry, at int) []Entry {
	e := timeline[at]
	if e.Kind != LaunchFailed && e.Kind != ScaleUp || e.Reason.Code == CodeLaunching || e.Reason.Code == CodeNone {
		return timeline
	}
	for i := at - 1; i >= 0; i-- {
		if was := timeline[i]; was.Kind == e.Kind && was.Group == e.Group && was.Node == e.Node && was.Reason == e.Reason {
			timeline = slices.Clone(timeline)
			timeline[at].Times = max(1, was.Times) + 1
			return slices.Delete(timeline, i, i+1)
		}
	}
	return timeline
}

// Spent sets the spend, and whether any of it is estimated. The history takes one point a minute, and starts anew with another currency.
func (r *Record) Spent(currency string, perHour float64, estimated bool) {
	r.change(func(f *facts) {
		s := &f.spend
		if s.Currency != currency {
			s.History = nil
		}
		s.Currency, s.PerHour, s.About = currency, perHour, estimated
		if n := len(s.History); n == 0 || f.at.Sub(s.History[n-1].At) >= spendInterval {
			s.History = added(s.History, SpendPoint{At: f.at, PerHour: perHour}, maxSpendPoints)
		}
	})
}

// change changes the facts and wakes those who wait. It returns the observers.
func (r *Record) change(change func(*facts)) []Observer {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.facts.at = r.clock.Now()
	change(&r.facts)
	r.changes.Add(1)
	if r.waiting != nil {
		close(r.waiting)
		r.waiting = nil
	}
	return r.observers
}

// Changed returns a channel that the next change closes. A reader that must miss nothing gets the channel before the Report.
func (r *Record) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == nil {
		r.waiting = make(chan struct{})
	}
	return r.waiting
}

// Report returns what is known now. The caller must not change it. Without a change since the last call it returns the same Report.
func (r *Record) Report() *Report {
	if p := r.last.Load(); p != nil && p.changes == r.changes.Load() {
		return p.report
	}
	r.making.Lock()
	defer r.making.Unlock()
	r.mu.Lock()
	f, changes := r.facts, r.changes.Load()
	r.mu.Unlock()
	if p := r.last.Load(); p != nil && p.changes == changes {
		return p.report
	}
	p := &published{report: f.report(), changes: changes}
	r.last.Store(p)
	return p.report
}

// part is a part of the Report that is made when somebody first reads it, under Record.making.
type part[T any] struct {
	make func(groups ByName, region string) T
	once sync.Once
	made T
}

func groupsPart(groups func() []Group) *part[[]Group] {
	return &part[[]Group]{make: func(_ ByName, region string) []Group { return boundedGroups(groups(), region) }}
}

func podsPart(pods func(ByName) Pending) *part[Pending] {
	return &part[Pending]{make: func(groups ByName, region string) Pending { return pods(groups).bounded(region) }}
}

func nodesPart(nodes func(ByName) []Node) *part[[]Node] {
	return &part[[]Node]{make: func(groups ByName, region string) []Node { return boundedNodes(nodes(groups), region) }}
}

func (p *part[T]) get(groups ByName, region string) (made T) {
	if p == nil {
		return made
	}
	p.once.Do(func() { p.made = p.make(groups, region) })
	return p.made
}
