package scenario

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// observeAWS adds a Moment for each change of a group or instance until ctx ends or the server closes, and blocks until then.
// When AWS is asked to terminate an instance, it judges by the node that look returns whether the instance is drained. seen
// counts the events that the timeline has.
func observeAWS(ctx context.Context, server *fakeaws.Server, timeline *Timeline, look func(instanceID string) NodeLook, seen *atomic.Int64) {
	for event := range server.Subscribe(ctx, 0) {
		if event.Kind == fakeaws.TerminateRequested {
			if reason := look(event.Instance).Undrained(); reason != "" {
				timeline.Add(Moment{At: event.Time, Kind: KilledUndrained, Object: event.Instance, Detail: reason})
			}
		}
		if m, known := momentOf(event); known {
			timeline.Add(m)
		}
		seen.Store(int64(event.Seq) + 1)
	}
}

// momentOf returns the Moment of an event. It returns false for an event that the timeline leaves out.
func momentOf(event fakeaws.Event) (Moment, bool) {
	m := Moment{At: event.Time, Object: event.Instance}
	switch event.Kind {
	case fakeaws.DesiredChanged:
		m.Kind = DesiredRaised
		if event.To < event.From {
			m.Kind = DesiredLowered
		}
		m.Object, m.Detail = event.Group, fmt.Sprintf("%d → %d", event.From, event.To)
	case fakeaws.Launched:
		m.Kind, m.Detail = InstanceLaunched, fmt.Sprintf("%s %s in %s", event.CapacityType, event.InstanceType, event.Zone)
	case fakeaws.LaunchFailed:
		m.Kind, m.Object, m.Detail = LaunchFailed, event.Group, event.Message
	case fakeaws.TerminateRequested:
		m.Kind, m.Detail = TerminateRequested, event.Group
	case fakeaws.ScaleInKill:
		m.Kind, m.Detail = KilledUndrained, "chosen by Auto Scaling, since desired fell below the instances that run"
	case fakeaws.Terminated:
		m.Kind, m.Detail = InstanceTerminated, event.Group
	default:
		return Moment{}, false
	}
	return m, true
}
