package interruption_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestEveryKindIsDrainedAndTerminated(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind string
		tell func(w *world, instance string) error
	}{
		{"capacity-reservation-interruption", func(w *world, id string) error {
			return w.aws.Announce(id, fakeaws.Deed{Kind: fakeaws.InterruptReservation})
		}},
		{"scheduled-change", func(w *world, id string) error {
			return w.aws.Announce(id, fakeaws.Deed{Kind: fakeaws.ScheduleChange, Notice: fakeaws.Duration(time.Hour)})
		}},
		{"state-change", func(w *world, id string) error {
			return w.aws.SendMessage(queueName, fmt.Sprintf(`{"id":"s","detail-type":"EC2 Instance State-change Notification",`+
				`"source":"aws.ec2","detail":{"instance-id":%q,"state":"shutting-down"}}`, id))
		}},
	} {
		t.Run(tt.kind, func(t *testing.T) {
			w, warned := parallelWorld(t, scalingGroup(0, 2, 5))
			w.run(warned, "a")
			w.running()
			require.NoError(t, tt.tell(w, warned))
			w.waitTerminated(warned)
			w.waitEmptyQueue()
			// AWS also announces the end of the instance, and that message may come in time to share the drain.
			assert.Truef(t, w.desired() == 1 && w.terminations() == 1 && w.evicted["a"] == 1 && w.handled()["drained "+tt.kind] >= 1,
				"desired %d after %d terminations, evicted %v, handled %v", w.desired(), w.terminations(), w.evicted, w.handled())
		})
	}
}

func TestEvictionWaitsForTheCore(t *testing.T) {
	inBubble(t, scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
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
		took := time.Since(began)
		assert.Truef(t, took >= 3*time.Second, "evicted and gone after %v, though the core has not decided", took)
		w.waitEmptyQueue() // the job has ended
		assert.Empty(t, h.NodesBeingDrained(), "still being drained")
	})
}
