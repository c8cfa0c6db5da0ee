package fakeaws

import (
	"testing"
	"time"
)

// User guide, "Suspend and resume processes".
func TestSuspendedProcessesRest(t *testing.T) {
	inBubble(t, oneGroup(withDesired(2)), func(t *testing.T, s *Server, c clients) {
		suspend := func(names ...string) {
			must(t, s.Suspend("g", names...))
		}
		resume := func(names ...string) {
			must(t, s.Resume("g", names...))
		}
		suspend("Terminate")
		setDesired(t, c, "g", 1)
		pass(time.Minute)
		statesAre(t, c, "Terminate suspended: no scale-in", map[string]int{"InService": 2})
		resume("Terminate")
		pass(time.Minute)
		statesAre(t, c, "resumed", map[string]int{"InService": 1})

		suspend("ReplaceUnhealthy")
		id := *describe(t, c, "g").Instances[0].InstanceId
		must(t, s.Reclaim(id))
		pass(time.Minute)
		if i := describe(t, c, "g").Instances[0]; *i.InstanceId != id || *i.HealthStatus != "Unhealthy" || i.LifecycleState != "InService" {
			t.Errorf("ReplaceUnhealthy suspended: %+v, want the lost instance in its place", i)
		}
		resume()
		pass(time.Minute)
		if i := describe(t, c, "g").Instances[0]; *i.InstanceId == id {
			t.Error("the lost instance was not replaced once that was resumed")
		}

		suspend() // all of them
		if got := len(describe(t, c, "g").SuspendedProcesses); got != 9 {
			t.Errorf("%d processes suspended, want 9", got)
		}
		if err := s.Suspend("g", "Sleep"); err == nil {
			t.Error("a process that does not exist was suspended")
		}
	})
}
