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
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/queue"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

var (
	seeds     = flag.Int("interruption.seeds", 4, "how many seeds the tests at any moment go through")
	firstSeed = flag.Int("interruption.seed", 1, "the first of them")
)

// mortal is a queue that ignores a handler once that was stopped.
type mortal struct {
	queue.API
	dead atomic.Bool
}

var errStopped = errors.New("stopped")

func (m *mortal) DeleteMessageBatch(ctx context.Context, in *sqs.DeleteMessageBatchInput, o ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	if m.dead.Load() {
		return nil, errStopped
	}
	return m.API.DeleteMessageBatch(ctx, in, o...)
}

func (m *mortal) ChangeMessageVisibilityBatch(ctx context.Context, in *sqs.ChangeMessageVisibilityBatchInput,
	o ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	if m.dead.Load() {
		return nil, errStopped
	}
	return m.API.ChangeMessageVisibilityBatch(ctx, in, o...)
}

// TestHandlerStoppedAtAnyMoment stops the handler up to three times while several instances are interrupted, their messages
// duplicated and shuffled, their pods held back by a budget for a while. A stopped handler finishes its calls, but no message. The scenario
// s4_interruption_killed and package chaos kill a process.
// In the end every message is gone, every interrupted instance was terminated exactly once, and no other node is left cordoned.
//
//	go test -run AtAnyMoment -timeout 1h ./cloudprovider/interruption -interruption.seeds 50
func TestHandlerStoppedAtAnyMoment(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for messages to come again")
	}
	worlds := make([]*world, *seeds)
	for n := range worlds { // one after the other: each sets the environment for its clients
		worlds[n] = newWorld(t, scalingGroup(2, 6, 12))
	}
	t.Run("seeds", func(t *testing.T) {
		for n, w := range worlds {
			seed := uint64(*firstSeed + n)
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				w.t = t
				w.die(seed)
			})
		}
	})
}

// live handles the interruptions until it is stopped. A message that was being handled then comes again after half a minute.
func (w *world) live() (stop func()) {
	life := &mortal{API: w.clients.SQS}
	end := w.running(func(o *interruption.Options) { o.SQS = life })
	return func() {
		life.dead.Store(true)
		end()
	}
}

// die runs one seed.
func (w *world) die(seed uint64) {
	t, random := w.t, rand.New(rand.NewPCG(seed, 0))
	require.NoError(t, w.aws.SetQueue(fakeaws.Queue{Name: queueName, Events: []string{"*"}, Duplicates: 30, Shuffles: 50}))
	ids := w.inService()
	for _, id := range ids {
		for p := range random.IntN(4) {
			w.run(id, fmt.Sprint(id, "-", p))
		}
	}
	random.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	warned := ids[:1+random.IntN(4)]
	w.refused.Store(random.IntN(2) == 0)
	time.AfterFunc(time.Duration(random.IntN(4000))*time.Millisecond, func() { w.refused.Store(false) })
	for _, id := range warned {
		require.NoError(t, w.aws.Interrupt(id, 0))
	}
	for range 1 + random.IntN(3) {
		stop := w.live()
		time.Sleep(time.Duration(random.IntN(2500)) * time.Millisecond)
		stop()
	}
	w.live()
	for _, id := range warned {
		w.within(90*time.Second, "instance "+id+" gone", func() bool { // half a minute, if a dead process began its termination
			g, _ := w.aws.Group("spot")
			return !slices.ContainsFunc(g.Instances, func(i fakeaws.InstanceState) bool { return i.ID == id })
		})
	}
	w.within(90*time.Second, "an empty queue", func() bool { q := w.aws.Queues()[0]; return q.Visible+q.InFlight+q.Delayed == 0 })
	want := 6 - len(warned)
	assert.Equalf(t, want, w.desired(), "seed %d: desired after %d interruptions of 6", seed, len(warned))
	for id, node := range w.nodes() {
		assert.Falsef(t, node.Spec.Unschedulable || slices.Contains(warned, id),
			"seed %d: node of %s is left, cordoned %v", seed, id, node.Spec.Unschedulable)
	}
	launched := 0
	for _, e := range w.aws.Events() {
		if e.Kind == fakeaws.Launched {
			launched++
		}
	}
	assert.Equalf(t, 6, launched, "seed %d: instances were launched, want the first 6", seed)
}
