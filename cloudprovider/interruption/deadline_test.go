package interruption

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/queue"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

func TestReasonDeadlines(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name             string
		event            event.Event
		age, left, force time.Duration
	}{
		{"a warning just given", event.Event{Kind: event.SpotInterruption}, 0, 2 * time.Minute, 110 * time.Second},
		{"a warning on its way for long", event.Event{Kind: event.SpotInterruption}, 80 * time.Second, 40 * time.Second, 35 * time.Second},
		{"a warning that comes too late", event.Event{Kind: event.SpotInterruption}, 5 * time.Minute, 5 * time.Second, 3 * time.Second},
		{"reserved capacity", event.Event{Kind: event.ReservationEnd}, 0, 2 * time.Minute, 110 * time.Second},
		{"a capacity block", event.Event{Kind: event.ReservationEnd, Starts: now.Add(9 * time.Minute)}, time.Minute, 9 * time.Minute, 530 * time.Second},
		{"reserved capacity that has ended", event.Event{Kind: event.ReservationEnd, Starts: now}, 2 * time.Minute, 5 * time.Second, 3 * time.Second},
		{"an instance that ends", event.Event{Kind: event.StateChange, State: "shutting-down"}, 0, 30 * time.Second, 26250 * time.Millisecond},
		{"an instance that has ended", event.Event{Kind: event.StateChange, State: "terminated"}, 0, 5 * time.Second, 3 * time.Second},
		{"a lifecycle hook", event.Event{Kind: event.TerminateHook}, 0, 10 * time.Minute, 590 * time.Second},
		{"a recommendation", event.Event{Kind: event.Rebalance}, 0, 15 * time.Minute, never},
		{"a retirement in two weeks", event.Event{Kind: event.ScheduledChange, Code: retirement, Starts: now.Add(14 * 24 * time.Hour)}, 0,
			14 * 24 * time.Hour, 14*24*time.Hour - 10*time.Second},
		{"a retirement in five minutes", event.Event{Kind: event.ScheduledChange, Code: retirement, Starts: now.Add(5 * time.Minute)}, 0,
			5 * time.Minute, 290 * time.Second},
		{"a retirement that has begun", event.Event{Kind: event.ScheduledChange, Code: retirement, Starts: now.Add(-time.Hour)}, 0,
			15 * time.Minute, never},
		{"a retirement at no stated time", event.Event{Kind: event.ScheduledChange, Code: retirement}, 0, 15 * time.Minute, never},
		{"a reboot in two weeks", event.Event{Kind: event.ScheduledChange, Code: "AWS_EC2_INSTANCE_REBOOT_MAINTENANCE_SCHEDULED",
			Starts: now.Add(14 * 24 * time.Hour)}, 0, 14 * 24 * time.Hour, never},
		{"a change that has begun", event.Event{Kind: event.ScheduledChange, Starts: now.Add(-time.Hour)}, 0, 15 * time.Minute, never},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := reasonFor(tt.event, now.Add(-tt.age), now)
			j, force := newJob("i-1", "group", c), never
			if plan := (&Handler{Options: Options{Groups: ours{}, AtDeadline: Force, Nodes: noNodes(), Clock: clock.RealClock{}}}).plan(j); !plan.Force.IsZero() {
				force = plan.Force.Sub(now)
			}
			left := c.Deadline.Sub(now)
			assert.Truef(t, left == tt.left && force == tt.force, "%v left, force after %v; want %v and %v", left, force, tt.left, tt.force)
		})
	}
}

// The version before wrote so of a node that was not Ready.
func TestRebootDeletesNoPodAtItsDeadline(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	j := newJob("i-1", "group", reason{Kind: event.Reboot, Ends: true, Began: now, Deadline: now.Add(2 * time.Minute)})
	assert.Zero(t, (&Handler{Options: Options{Groups: ours{}, AtDeadline: Force, Nodes: noNodes()}}).plan(j).Force)
}

const (
	retirement = "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED"
	never      = time.Duration(-1)
)

// ours are the groups of a Cache that has read one.
type ours struct{ groups }

func (ours) Snapshot() *group.Snapshot {
	return group.NewSnapshot(map[string]*group.Group{"group": {Name: "group"}}, nil, time.Time{})
}

func noNodes() cache.SharedIndexInformer {
	nodes := informers.NewSharedInformerFactory(fake.NewClientset(), 0).Core().V1().Nodes().Informer()
	_ = nodes.AddIndexers(nodemeta.NodesByInstance)
	return nodes
}

func TestPlannedDrainsWaitForOthersButNotForever(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	retiring := func(in time.Duration) reason {
		return reasonFor(event.Event{Kind: event.ScheduledChange, Code: retirement, Starts: now.Add(in)}, now, now)
	}
	warning := reasonFor(event.Event{Kind: event.SpotInterruption}, now, now)
	for _, tt := range []struct {
		name          string
		reason, other reason
		after         time.Duration // since the other began
		begins        bool
	}{
		{"behind another retirement", retiring(48 * time.Hour), retiring(24 * time.Hour), time.Minute, false},
		{"behind a recommendation", retiring(48 * time.Hour), reasonFor(event.Event{Kind: event.Rebalance}, now, now), time.Minute, false},
		{"behind a warning", retiring(48 * time.Hour), warning, time.Minute, false},
		{"behind a drain that is stuck", retiring(48 * time.Hour), retiring(24 * time.Hour), 21 * time.Minute, true},
		{"shortly before its own time", retiring(30 * time.Minute), retiring(24 * time.Hour), 15 * time.Minute, true},
		{"a warning", warning, retiring(24 * time.Hour), 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newJobs(clocktesting.NewFakeClock(now.Add(tt.after)))
			h.starts = make(chan *job, 2)
			h.underWay["i-1"] = newJob("i-1", "group", tt.other)
			_, _, begins := h.begin(t.Context(), "i-2", "group", tt.reason)
			assert.Equal(t, tt.begins, begins, "begins")
			if _, _, begins := h.begin(t.Context(), "i-3", "another group", tt.reason); !begins && !tt.begins {
				t.Error("waits for the drain of another group")
			}
		})
	}
}

// A drain that Auto Scaling never lets end is taken up again and again. At the first deadline its node is put back into use.
func TestResumptionsKeepTheDeadlineAnnotation(t *testing.T) {
	start := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	c := reasonFor(event.Event{Kind: event.SpotInterruption}, start, start)
	node := cordoned(&corev1.Node{}, annotation{reason: c})
	for n := range 3 {
		now := start.Add(time.Duration(3+n) * time.Minute)
		m, ok := annotationOf(node)
		require.Truef(t, ok && m.Deadline.Equal(c.Deadline),
			"after %d resumptions the deadline on the node is %v, want %v", n, m.Deadline, c.Deadline)
		resumed := m.resumed(now)
		assert.Equalf(t, notice, resumed.drainBy().Sub(now), "time for the pods at resumption %d", n)
		node = cordoned(node, annotation{reason: resumed, Terminating: now})
		node = cordoned(node, annotation{reason: reasonFor(event.Event{Kind: event.SpotInterruption}, start, now)}) // its message comes again
	}
}

// A node is drained for a reboot when AWS announces to retire its instance, a week later.
func TestAnnotationHasTheDeadlineOfItsReason(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	after := func(days int, code string) reason {
		return reasonFor(event.Event{Kind: event.ScheduledChange, Code: code, Starts: now.Add(time.Duration(days) * 24 * time.Hour)}, now, now)
	}
	reboot := cordoned(&corev1.Node{}, annotation{reason: after(3, "AWS_EC2_INSTANCE_REBOOT_MAINTENANCE_SCHEDULED")})
	m, _ := annotationOf(cordoned(reboot, annotation{reason: after(10, retirement)}))
	assert.Equal(t, now.Add(10*24*time.Hour), m.resumed(now).drainBy(), "when the next leader overrides budgets")
}

// A planned drain takes its node off load balancers after its first write.
func TestLoadBalancersGetTheNodeBack(t *testing.T) {
	spot := annotation{reason: reason{Kind: event.SpotInterruption}}
	leaving := spot
	leaving.Excluded = true
	node := cordoned(cordoned(&corev1.Node{}, spot), leaving)
	assert.Contains(t, node.Labels, corev1.LabelNodeExcludeBalancers, "a node whose pods leave")
	again := cordoned(node, spot)
	assert.Contains(t, again.Labels, corev1.LabelNodeExcludeBalancers, "a node that is marked again")
	assert.NotContains(t, uncordoned(again).Labels, corev1.LabelNodeExcludeBalancers, "a node back in use")
	delete(again.Annotations, Taint)
	assert.False(t, uncordoned(cordoned(again, spot)).Spec.Unschedulable, "a node whose annotation somebody has taken off")
	others := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{corev1.LabelNodeExcludeBalancers: "by hand"}}}
	assert.Equal(t, "by hand", uncordoned(cordoned(others, leaving)).Labels[corev1.LabelNodeExcludeBalancers], "somebody else's label")
}

func TestAnnotationKeepsWhetherAWSEndsTheInstance(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	c := reasonFor(event.Event{Kind: event.ScheduledChange, Code: retirement, Starts: now.Add(time.Hour)}, now, now)
	m, _ := annotationOf(cordoned(&corev1.Node{}, annotation{reason: c}))
	assert.True(t, m.resumed(now.Add(time.Minute)).endsAtDeadline(), "the next leader does not know that the instance goes")
	after := m.resumed(now.Add(2 * time.Hour))
	assert.False(t, after.endsAtDeadline(), "pods of an instance that outlived its time are deleted against their budgets")
}

func TestForeignMessageIsLeftToOthersByAge(t *testing.T) {
	for _, tt := range []struct {
		until, most time.Duration
		receptions  int
	}{
		{until: ownersTime, most: ownersPause, receptions: 20},
		{until: ownersTimeHook, most: ownersPauseHook, receptions: 30},
	} {
		h, sent := &Handler{}, time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
		received, receives := sent, 1
		for ; receives < 1000; receives++ {
			m := queue.Message{Sent: sent, Received: received, Receives: 1} // such a queue may not count them
			result, _ := h.leaveToOthers(m, event.Event{}, tt.until, tt.most)
			if result == queue.Done() {
				break
			}
			assert.Truef(t, result.After <= tt.most,
				"hidden from others for %v after %v, want at most %v", result.After, received.Sub(sent), tt.most)
			received = received.Add(result.After.Truncate(time.Second) + 30*time.Millisecond) // SQS takes whole seconds
		}
		if over := received.Sub(sent) - tt.until; receives > tt.receptions || over < 0 || over > 2*time.Second {
			t.Errorf("deleted at the %dth reception, %v after it was sent; want fewer than %d, and %v",
				receives, received.Sub(sent), tt.receptions, tt.until)
		}
	}
}

func TestForeignMessageOfUnknownAgeIsNotReadInALoop(t *testing.T) {
	h, m := &Handler{}, queue.Message{Received: time.Now(), Receives: 1}
	left := func(e event.Event) queue.Result {
		result, _ := h.leaveToOthers(m, e, ownersTime, ownersPause)
		return result
	}
	assert.Equal(t, ownersPause, left(event.Event{}).After, "it comes again after")
	assert.Equal(t, ownersPause, left(event.Event{Time: m.Received.Add(-time.Minute)}).After, "it comes again after")
	assert.Equal(t, queue.Done(), left(event.Event{Time: m.Received.Add(-ownersTime - time.Second)}), "once it is old")
	m.Receives = 100
	assert.Equal(t, queue.Done(), left(event.Event{}), "after a hundred receptions")
}

func TestMoreUrgentReasonSetsTheDeadline(t *testing.T) {
	now := time.Now()
	advice, planned, warning := reasonFor(event.Event{Kind: event.Rebalance}, now, now),
		reasonFor(event.Event{Kind: event.ScheduledChange}, now, now), reasonFor(event.Event{Kind: event.SpotInterruption}, now, now)
	hook := reasonFor(event.Event{Kind: event.TerminateHook}, now, now)
	hook.Deadline = now.Add(30 * time.Minute) // later than the end of the planned drain
	j := newJob("i-1", "group", advice)
	for _, step := range []struct{ hear, want reason }{
		{planned, planned}, {advice, planned}, {hook, hook}, {planned, hook}, {warning, warning}, {planned, warning},
	} {
		j.escalate(step.hear)
		assert.Equalf(t, step.want.Kind, j.current().Kind, "after %s", step.hear.Kind)
	}
}

func TestEventTimeUsesAWSClock(t *testing.T) {
	ours := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	theirs := ours.Add(-3 * time.Hour)
	for _, tt := range []struct {
		name string
		m    queue.Message
		at   time.Time
		want time.Duration // ago
	}{
		{"by the event", queue.Message{Received: theirs, Sent: theirs.Add(-5 * time.Second)}, theirs.Add(-20 * time.Second), 20 * time.Second},
		{"by the message, where the event does not tell", queue.Message{Received: theirs, Sent: theirs.Add(-5 * time.Second)}, time.Time{}, 5 * time.Second},
		{"by the message, where the event's time cannot be", queue.Message{Received: theirs, Sent: theirs.Add(-5 * time.Second)}, time.Unix(0, 0), 5 * time.Second},
		{"now, where neither can be", queue.Message{Received: theirs}, time.Unix(0, 0), 0},
		{"an hour ago", queue.Message{Received: theirs, Sent: theirs.Add(-5 * time.Second)}, theirs.Add(-time.Hour), time.Hour},
		{"in the future", queue.Message{Received: theirs}, theirs.Add(time.Second), 0},
		{"unknown", queue.Message{Received: theirs}, time.Time{}, 0},
	} {
		assert.Equalf(t, tt.want, ours.Sub(eventTime(tt.m, event.Event{Time: tt.at}, ours)), "%s: ago", tt.name)
	}
}

func TestAChangeStartsByAWSClock(t *testing.T) {
	ours := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name           string
		received       time.Time
		starts, within time.Duration // by AWS's clock, and by ours
	}{
		{"with our clock three minutes behind", ours.Add(3 * time.Minute), time.Hour, 57 * time.Minute},
		{"with our clock nine minutes ahead", ours.Add(-9 * time.Minute), time.Hour, 69 * time.Minute},
		{"with a second that the answer cut", ours.Add(-time.Second), time.Hour, time.Hour},
		{"where the reception is unknown", time.Time{}, time.Hour, time.Hour},
	} {
		got := startTime(queue.Message{Received: tt.received}, event.Event{Starts: ours.Add(tt.starts)}, ours)
		assert.Equalf(t, tt.within, got.Sub(ours), "%s: starts in", tt.name)
	}
	assert.Zero(t, startTime(queue.Message{Received: ours.Add(time.Hour)}, event.Event{}, ours), "without a time")
}

// Anybody can write the time of beginning on the node. Once a resumed drain seemed to last 292 years.
func TestSpoiltBeginningCountsAsNow(t *testing.T) {
	now := time.Now()
	for _, began := range []string{"", "soon", now.Add(time.Hour).UTC().Format(time.RFC3339)} {
		m, ok := annotationOf(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
			Taint: fmt.Sprintf(`{"kind": "spot-interruption", "deadline": %q, "began": %q}`, now.Add(time.Minute).UTC().Format(time.RFC3339), began),
		}}})
		got := m.resumed(now).Began
		assert.Truef(t, ok && got.Equal(now), "%q: a drain that is taken up now began %v ago", began, now.Sub(got))
	}
}

// The newer word comes once the job has seen the older one, and before it has ended.
func TestChangeThatComesOnAgainWhileItsDrainIsGivenUp(t *testing.T) {
	now := time.Now()
	h := &Handler{Options: Options{Clock: clock.RealClock{}}}
	for _, again := range []bool{false, true} {
		over := reason{Kind: event.ScheduledChange, ARN: "arn", Said: now, over: true}
		j := newJob("i-1", "group", over)
		if j.abandoned, j.outcome = over, gaveUp; again {
			j.reason = reason{Kind: event.ScheduledChange, ARN: "arn", Said: now.Add(time.Second)}
		}
		close(j.done)
		result, _ := h.await(t.Context(), []*job{j}, "arn", time.Minute)
		assert.Equal(t, again, result != queue.Done(), "its message comes again, %t", again)
	}
}
