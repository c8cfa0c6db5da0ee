package interruption_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// The group has two instances, one of which is to go. The pod a is on its node.
func TestInstanceIsDrainedAndTerminated(t *testing.T) {
	t.Parallel()
	warned := func(w *world, id string) { w.send(warning(id, time.Now())) }
	// Two seconds to go, which the Handler extends to five.
	late := func(w *world, id string) { w.send(warning(id, time.Now().Add(-118*time.Second))) }
	held := func(w *world, _ string) { w.refused.Store(true) }
	for _, tt := range []struct {
		name                 string
		least                int // of the group
		hook, empty, standby bool
		before               func(w *world, id string) // the Handler runs
		change               []func(*interruption.Options)
		tell                 func(w *world, id string)
		outcome              string
		evicted              int
	}{
		{name: "an empty node", empty: true, tell: warned, outcome: "empty spot-interruption"},
		{name: "no node", empty: true, tell: warned, outcome: "no-node spot-interruption", before: func(w *world, id string) {
			w.unregister(id)
		}},
		{name: "another in its place at the minimum size", least: 2, tell: warned, outcome: "drained spot-interruption", evicted: 1},
		{name: "a lifecycle hook", hook: true, tell: warned, outcome: "drained spot-interruption", evicted: 1},
		{name: "a pod that its budget holds until it is forced", before: held, tell: late, outcome: "forced spot-interruption"},
		{name: "a pod that its budget holds to the end", before: held, tell: late, outcome: "lost spot-interruption",
			change: []func(*interruption.Options){func(o *interruption.Options) { o.AtDeadline = interruption.Leave }}},
		{name: "standby", standby: true, tell: warned, outcome: "drained spot-interruption", evicted: 1, before: func(w *world, id string) {
			require.NoError(w.t, w.aws.Do(fakeaws.Deed{Kind: fakeaws.Standby, Group: "spot", Instances: []string{id}}))
			w.within(2*time.Minute, "it does not count", func() bool { i, _ := w.cache.Snapshot().Instance(id); return i != nil && !i.Lifecycle.Counts() })
		}},
		// It waits while other nodes of its group are drained. By then it may be older than a warning may be.
		{name: "an old recommendation", empty: true, outcome: "empty rebalance-recommendation",
			before: func(w *world, _ string) { w.silent() }, change: []func(*interruption.Options){drainOnRebalance},
			tell: func(w *world, id string) { w.send(recommendation(id, time.Now().Add(-time.Hour))) }},
		{name: "a capacity reservation", outcome: "drained capacity-reservation-interruption", evicted: 1, tell: func(w *world, id string) {
			require.NoError(w.t, w.aws.Announce(id, fakeaws.Deed{Kind: fakeaws.InterruptReservation}))
		}},
		{name: "a scheduled change", outcome: "drained scheduled-change", evicted: 1, tell: func(w *world, id string) {
			require.NoError(w.t, w.aws.Announce(id, fakeaws.Deed{Kind: fakeaws.ScheduleChange, Notice: fakeaws.Duration(time.Hour)}))
		}},
		{name: "it shuts down", outcome: "drained state-change", evicted: 1, tell: func(w *world, id string) {
			w.send(stateChange(id, "shutting-down"))
		}},
	} {
		g := scalingGroup(tt.least, 2, 5)
		if tt.hook {
			g = hooked(g)
		}
		t.Run(tt.name, inBubble(g, func(t *testing.T, w *world) {
			id := w.inService()[0]
			if !tt.empty {
				w.run(id, "a")
			}
			if tt.before != nil {
				tt.before(w, id)
			}
			w.running(tt.change...)
			tt.tell(w, id)
			desired, terminations := max(1, tt.least), 0
			if !tt.standby {
				terminations = 1
				w.waitTerminated(id)
			}
			w.waitEmptyQueue()
			w.wait("as many in service as are desired", func() bool { return len(w.inService()) == desired })
			want, got := [3]int{desired, terminations, tt.evicted}, [3]int{w.desired(), w.terminations(), w.evictions("a")}
			assert.Equal(t, want, got, "desired capacity, terminations, evictions")
			// AWS also announces the end of the instance. The message may come in time to share the drain. Later, the pods that are
			// still there count once more.
			handled, lost := w.handled(), 0
			for outcome, count := range handled {
				if strings.HasPrefix(outcome, "lost ") {
					lost += count
				}
			}
			assert.Truef(t, handled[tt.outcome] == 1 || handled[tt.outcome] > 1 && tt.outcome == "drained state-change", "handled %v", handled)
			counted := w.count("asg_autoscaler_interruption_pods_lost_total")[""]
			assert.Truef(t, counted == lost || 0 < counted && counted < lost, "%d pods lost, handled %v", counted, handled)
		}))
	}
}

// EC2 warns of the end of a capacity block long before it, and states the time.
func TestPodsOfACapacityBlockHaveUntilItsStatedEnd(t *testing.T) {
	inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
		warned := w.inService()[0]
		w.run(warned, "a")
		w.refused.Store(true)
		stop := w.running()
		require.NoError(t, w.aws.Announce(warned, fakeaws.Deed{Kind: fakeaws.InterruptReservation, Notice: fakeaws.Duration(10 * time.Minute)}))
		time.Sleep(4 * time.Minute)
		stop()
		time.Sleep(4 * time.Minute)
		w.running()
		time.Sleep(20 * time.Second)
		w.refused.Store(false)
		w.waitTerminated(warned)
		w.ended(1, 1, 1)
		assert.Equal(t, 1, w.handled()["drained capacity-reservation-interruption"], "%v", w.handled())
	})(t)
}

// The other cluster may have no leader just now.
func TestWarningOfAnotherClustersCapacityBlockIsLeftUntilItsEnd(t *testing.T) {
	inBubble(scalingGroup(0, 1, 5), func(t *testing.T, w *world) {
		text := strings.Replace(warning("i-0aaaaaaaaaaaaaaaa", time.Now()), "Spot Instance Interruption", "Capacity Reservation Instance Interruption", 1)
		ends := time.Now().Add(10 * time.Minute).UTC().Format(time.RFC3339)
		w.send(strings.Replace(text, `"terminate"`, fmt.Sprintf(`"terminate","instance-termination-time":%q`, ends), 1))
		w.running()
		for _, kept := range []bool{true, false} {
			time.Sleep(8 * time.Minute)
			q := w.aws.Queues()[0]
			assert.Equal(t, kept, q.Visible+q.InFlight+q.Delayed == 1, "the message is kept for others")
		}
		assert.NotZero(t, w.handled()["left-to-others capacity-reservation-interruption"], "%v", w.handled())
	})(t)
}

func TestEvictionWaitsForTheCore(t *testing.T) {
	inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
		warned := w.inService()[0]
		w.run(warned, "a")
		woken := make(chan struct{}, 100)
		h := w.handler(func(o *interruption.Options) { o.Wake = func() { woken <- struct{}{} } })
		w.background(h.Run)
		began := time.Now()
		w.send(warning(warned, began))
		<-woken
		assert.Empty(t, cmp.Diff([]string{w.nodes()[warned].Name}, h.NodesBeingDrained()))
		assert.True(t, w.nodes()[warned].Spec.Unschedulable, "the core is woken before the node is cordoned")
		w.waitTerminated(warned)
		assert.GreaterOrEqual(t, time.Since(began), 3*time.Second, "evicted and gone after, though the core has not decided")
		w.waitEmptyQueue() // the job has ended
		assert.Empty(t, h.NodesBeingDrained(), "still being drained")
	})(t)
}
