package interruption

import (
	"testing"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/queue"
)

func TestHowMuchTimeAnEventLeaves(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name        string
		event       event.Event
		age         time.Duration
		left, force time.Duration
	}{
		{"a warning just given", event.Event{Kind: event.SpotInterruption}, 0, 2 * time.Minute, 110 * time.Second},
		{"a warning on its way for long", event.Event{Kind: event.SpotInterruption}, 80 * time.Second, 40 * time.Second, 35 * time.Second},
		{"a warning that comes too late", event.Event{Kind: event.SpotInterruption}, 5 * time.Minute, 5 * time.Second, 3 * time.Second},
		{"reserved capacity", event.Event{Kind: event.ReservationEnd}, 0, 2 * time.Minute, 110 * time.Second},
		{"an instance that ends", event.Event{Kind: event.StateChange, State: "shutting-down"}, 0, 30 * time.Second, 26250 * time.Millisecond},
		{"an instance that has ended", event.Event{Kind: event.StateChange, State: "terminated"}, 0, 5 * time.Second, 3 * time.Second},
		{"a change in two weeks", event.Event{Kind: event.ScheduledChange, Starts: now.Add(14 * 24 * time.Hour)}, 0,
			14 * 24 * time.Hour, 14*24*time.Hour - 10*time.Second},
		{"a change that has begun", event.Event{Kind: event.ScheduledChange, Starts: now.Add(-time.Hour)}, 0, 15 * time.Minute, 890 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := causeOf(tt.event, now.Add(-tt.age), now)
			if left, force := c.deadline.Sub(now), c.force().Sub(now); left != tt.left || force != tt.force {
				t.Errorf("%v left, force after %v; want %v and %v", left, force, tt.left, tt.force)
			}
		})
	}
}

func TestTheMoreUrgentCauseSetsTheTime(t *testing.T) {
	now := time.Now()
	advice, planned, warning := causeOf(event.Event{Kind: event.Rebalance}, now, now),
		causeOf(event.Event{Kind: event.ScheduledChange}, now, now), causeOf(event.Event{Kind: event.SpotInterruption}, now, now)
	j := newJob("i-1", "group", advice)
	for _, step := range []struct{ hear, want cause }{{planned, planned}, {advice, planned}, {warning, warning}, {planned, warning}} {
		j.hurry(step.hear)
		if got := j.current(); got.kind != step.want.kind {
			t.Errorf("after %s: %s, want %s", step.hear.kind, got.kind, step.want.kind)
		}
	}
}

func TestAgeIsToldByTheClockOfAWS(t *testing.T) {
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
		{"an hour ago", queue.Message{Received: theirs, Sent: theirs.Add(-5 * time.Second)}, theirs.Add(-time.Hour), time.Hour},
		{"in the future", queue.Message{Received: theirs}, theirs.Add(time.Second), 0},
		{"unknown", queue.Message{Received: theirs}, time.Time{}, 0},
	} {
		if got := ours.Sub(toldAt(tt.m, event.Event{Time: tt.at}, ours)); got != tt.want {
			t.Errorf("%s: %v ago, want %v", tt.name, got, tt.want)
		}
	}
}
