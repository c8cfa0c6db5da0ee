package interruption_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/queue"
	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
)

var (
	seeds     = flag.Int("interruption.seeds", 4, "how many seeds TestKilledAtAnyMoment goes through")
	firstSeed = flag.Int("interruption.seed", 1, "the first of them")
)

// mortal is a queue that hears nothing more of a process once that was killed.
type mortal struct {
	queue.API
	dead atomic.Bool
}

var errKilled = errors.New("killed")

func (m *mortal) DeleteMessageBatch(ctx context.Context, in *sqs.DeleteMessageBatchInput, o ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	if m.dead.Load() {
		return nil, errKilled
	}
	return m.API.DeleteMessageBatch(ctx, in, o...)
}

func (m *mortal) ChangeMessageVisibilityBatch(ctx context.Context, in *sqs.ChangeMessageVisibilityBatchInput,
	o ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	if m.dead.Load() {
		return nil, errKilled
	}
	return m.API.ChangeMessageVisibilityBatch(ctx, in, o...)
}

// TestKilledAtAnyMoment kills the process up to three times while several instances are interrupted, their messages duplicated and
// shuffled, their pods held back by a budget for a while. In the end every message is gone, every interrupted instance was handed
// back exactly once, and no other node is left cordoned. A message that a dead process held comes again after half a minute.
//
//	go test -run KilledAtAnyMoment -timeout 1h ./cloudprovider/interruption -interruption.seeds 50
func TestKilledAtAnyMoment(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for messages to come again")
	}
	worlds := make([]*world, *seeds)
	for n := range worlds { // one after the other: each sets the environment for its clients
		worlds[n] = newWorld(t, group(2, 6, 12))
	}
	t.Run("seeds", func(t *testing.T) {
		for n, w := range worlds {
			seed := uint64(*firstSeed + n)
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				w.t = t
				w.kill(seed)
			})
		}
	})
}

// kill is one seed.
func (w *world) kill(seed uint64) {
	t, random := w.t, rand.New(rand.NewPCG(seed, 0))
	if err := w.aws.SetQueue(fakeaws.Queue{Name: queueName, Events: []string{"*"}, Duplicates: 30, Shuffles: 50}); err != nil {
		t.Fatal(err)
	}
	ids := w.inService()
	for _, id := range ids {
		for p := range random.IntN(4) {
			w.run(id, fmt.Sprint(id, "-", p))
		}
	}
	random.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	doomed := ids[:1+random.IntN(4)]
	w.refused.Store(random.IntN(2) == 0)
	time.AfterFunc(time.Duration(random.IntN(4000))*time.Millisecond, func() { w.refused.Store(false) })
	for _, id := range doomed {
		if err := w.aws.Interrupt(id, 0); err != nil {
			t.Fatal(err)
		}
	}
	for range 1 + random.IntN(3) {
		life := &mortal{API: w.clients.SQS}
		stop := w.running(func(o *interruption.Options) { o.SQS = life })
		time.Sleep(time.Duration(random.IntN(2500)) * time.Millisecond)
		life.dead.Store(true)
		stop()
	}
	w.running()
	for _, id := range doomed {
		w.within(90*time.Second, "instance "+id+" gone", func() bool { // half a minute, if its end was begun by a dead process
			g, _ := w.aws.Group("spot")
			return !slices.ContainsFunc(g.Instances, func(i fakeaws.InstanceState) bool { return i.ID == id })
		})
	}
	w.within(90*time.Second, "an empty queue", func() bool { q := w.aws.Queues()[0]; return q.Visible+q.InFlight+q.Delayed == 0 })
	if want := 6 - len(doomed); w.desired() != want {
		t.Errorf("seed %d: desired %d after %d interruptions of 6, want %d", seed, w.desired(), len(doomed), want)
	}
	for id, node := range w.nodes() {
		if node.Spec.Unschedulable || slices.Contains(doomed, id) {
			t.Errorf("seed %d: node of %s is left, cordoned %v", seed, id, node.Spec.Unschedulable)
		}
	}
	launched := 0
	for _, e := range w.aws.Events() {
		if e.Kind == fakeaws.Launched {
			launched++
		}
	}
	if launched != 6 {
		t.Errorf("seed %d: %d instances were launched, want the first 6", seed, launched)
	}
}
