package interruption

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	scheduling "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/drain"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
)

// An instance stays known as dealt with for rememberFor.
const rememberFor = time.Hour

// job is the work on one instance.
type job struct {
	instance, group string
	resumed         annotation    // the node's annotations when work began, zero if there were none
	done            chan struct{} // closed when outcome is set
	outcome         outcome
	decided         chan struct{} // closed when the core has considered the node's pods
	decide          func()
	placed          atomic.Bool // by the core's last loop all pods of the nodes have a place on Ready nodes
	short           atomic.Bool // a reason has said that the pool is short
	abandoned       reason      // the one that was given up, before done is closed
	latecomers      drain.Latecomers

	mu     sync.Mutex
	reason reason   // guarded by mu
	nodes  []string // being drained, their pods count as pending, guarded by mu
}

func newJob(instance, group string, r reason) *job {
	taint := corev1.Taint{Key: Taint, Value: string(r.Kind), Effect: corev1.TaintEffectNoSchedule}
	j := &job{instance: instance, group: group, reason: r, done: make(chan struct{}), decided: make(chan struct{}),
		latecomers: drain.Latecomers{Tolerates: func(pod *corev1.Pod) bool {
			return scheduling.TolerationsTolerateTaint(klog.Background(), pod.Spec.Tolerations, &taint, true)
		}}}
	j.decide = sync.OnceFunc(func() { close(j.decided) })
	j.short.Store(r.poolIsShort())
	return j
}

func (j *job) current() reason {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.reason
}

// escalate replaces the job's reason by one that outranks it. It reports whether that is news: the drain was planned, or ends much earlier
// now. A copy of a message may differ by some seconds.
func (j *job) escalate(r reason) (changed bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if r.outranks(j.reason) {
		changed = j.reason.planned() || r.drainBy().Before(j.reason.drainBy().Add(-2*minDrainTime))
		if r.updates(j.reason) && j.reason.Began.Before(r.Began) {
			r.Began = j.reason.Began // it has had its turn
		}
		j.reason = r
	}
	return changed
}

func (j *job) setDraining(nodes []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.nodes = nodes
}

func (j *job) draining() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.nodes
}

// jobs keeps the jobs under way, and the instances that need none. It is safe for concurrent use.
type jobs struct {
	clock  clock.PassiveClock
	starts chan *job // to Run, which owns their goroutines

	mu       sync.Mutex
	underWay map[string]*job      // by instance, guarded by mu
	finished map[string]*finished // instances that were dealt with, guarded by mu
	givenUp  map[try]word         // guarded by mu
}

// try is the drain of an instance for one reason: a text that names the event, or the ARN of a change that was called off.
type try struct{ instance, reason string }

// word is AWS's word for which a drain was given up or called off: when AWS said so, by its clock, and when last we heard it.
type word struct{ said, heard time.Time }

type finished struct {
	at   time.Time
	left bool // a reading has shown it out of service since then
}

func newJobs(c clock.PassiveClock) *jobs {
	return &jobs{clock: c, starts: make(chan *job), underWay: map[string]*job{}, finished: map[string]*finished{},
		givenUp: map[try]word{}}
}

// begin returns the job of the instance, and begins it if there is none. It begins none if ctx ends, or if the node has to
// wait: planned drains of a group go one at a time. changed is escalate's.
func (s *jobs) begin(ctx context.Context, instance, group string, r reason) (under *job, changed, ok bool) {
	j := newJob(instance, group, r)
	s.mu.Lock()
	if under = s.underWay[j.instance]; under != nil {
		s.mu.Unlock()
		return under, under.escalate(j.reason), true
	}
	if now := s.clock.Now(); j.reason.waitsForOthers(now) {
		for _, other := range s.underWay {
			if other.group == j.group && other.current().holdsUpOthers(now) {
				s.mu.Unlock()
				return nil, false, false
			}
		}
	}
	s.underWay[j.instance] = j
	s.mu.Unlock()
	select {
	case s.starts <- j:
		return j, false, true
	case <-ctx.Done():
		s.end(j, unfinished)
		return nil, false, false
	}
}

func (s *jobs) has(instance string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.underWay[instance] != nil
}

func (s *jobs) end(j *job, out outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.underWay, j.instance)
	switch out {
	case unfinished, terminateFailed, broken:
	case gaveUp:
		if r := j.abandoned; r.Kind != event.Reboot && !r.endsAtDeadline() {
			s.givenUp[try{j.instance, r.Text}] = word{r.Said, s.clock.Now()}
		}
	default:
		s.finished[j.instance] = &finished{at: s.clock.Now()}
	}
	j.outcome = out
	close(j.done)
}

func (s *jobs) remember(instance string, left bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished[instance] = &finished{at: s.clock.Now(), left: left}
}

// recall drops the record that the instance was dealt with, because its node is in use again.
func (s *jobs) recall(instance string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.finished, instance)
}

func (s *jobs) dealtWith(instance string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.finished[instance]
	return ok
}

// gaveUp reports whether the drain of the instance for this reason was given up, or called off. It is remembered for as long as its message
// comes again. A later word of AWS about a change counts anew.
func (s *jobs) gaveUp(instance string, r reason) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range []try{{instance, r.Text}, {instance, r.ARN}} {
		if w, ok := s.givenUp[t]; ok && !r.Said.After(w.said) {
			s.givenUp[t] = word{w.said, s.clock.Now()}
			return true
		}
	}
	return false
}

// callOff has the job of the instance give up, if it is for the same change. idle reports that there is no job, and that none has dealt with
// the instance.
func (s *jobs) callOff(instance string, r reason) (idle bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.givenUp[try{instance, r.ARN}] = word{r.Said, s.clock.Now()}
	j := s.underWay[instance]
	if j != nil && r.updates(j.current()) {
		j.escalate(r)
	}
	return j == nil && s.finished[instance] == nil
}

// forget drops the instances that were dealt with, or given up, long ago. It also drops and returns the instances that a warm pool
// took back and that are in service again.
func (s *jobs) forget(now time.Time, groups *group.Snapshot) (reused map[string]bool) {
	reused = map[string]bool{}
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.givenUp, func(_ try, w word) bool { return now.Sub(w.heard) > rememberFor })
	maps.DeleteFunc(s.finished, func(id string, f *finished) bool {
		i, _ := groups.Instance(id)
		counts := i != nil && i.Lifecycle.Counts()
		reused[id] = counts && f.left
		f.left = f.left || !counts
		return reused[id] || now.Sub(f.at) > rememberFor
	})
	return reused
}

// NodesBeingDrained are the names of the nodes being drained whose pods count as pending, sorted.
func (s *jobs) NodesBeingDrained() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var nodes []string
	for _, j := range s.underWay {
		nodes = append(nodes, j.draining()...)
	}
	slices.Sort(nodes)
	return nodes
}

// ReplacementsDecided reports that the core has decided on the replacement for the pods of these nodes, and whether all pods of each
// have a place on Ready nodes already.
func (s *jobs) ReplacementsDecided(placed map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.underWay {
		nodes := j.draining()
		j.placed.Store(len(nodes) > 0 && !slices.ContainsFunc(nodes, func(node string) bool { return !placed[node] }))
		if slices.ContainsFunc(nodes, func(node string) bool { _, decided := placed[node]; return decided }) {
			j.decide()
		}
	}
}

// do works on one instance until it is dealt with, or ctx ends. It isolates a panic to the instance.
func (h *Handler) do(ctx context.Context, j *job) {
	h.metrics.nodes.Inc()
	defer h.metrics.nodes.Dec()
	ctx = klog.NewContext(ctx, klog.FromContext(ctx).WithValues("instance", j.instance, "group", j.group))
	out := broken
	defer func() {
		if cause := recover(); cause != nil {
			klog.FromContext(ctx).Error(fmt.Errorf("panic: %v", cause), "The drain of an instance broke, it is tried again",
				"stack", string(debug.Stack()))
		}
		if ctx.Err() != nil {
			out = unfinished
		}
		h.end(j, out)
	}()
	out = h.work(ctx, j)
}
