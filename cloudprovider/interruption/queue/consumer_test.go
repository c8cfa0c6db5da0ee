package queue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/queue"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsclients"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

const name = "interruptions"

// world is an account with one queue.
type world struct {
	t   testing.TB
	aws *fakeaws.Server
	api *awsclient.Clients
}

func newWorld(t testing.TB, q fakeaws.Queue) *world {
	q.Name = name
	server := awsclients.Serve(t, fakeaws.Config{Queues: []fakeaws.Queue{q}})
	awsclients.Point(t, server.URL())
	t.Setenv("AWS_CA_BUNDLE", "") // only the SDK's own client takes one
	clients, err := awsclient.New(t.Context(), awsclients.Options(server))
	require.NoError(t, err)
	return &world{t: t, aws: server, api: clients}
}

func (w *world) send(bodies ...string) {
	for _, body := range bodies {
		require.NoError(w.t, w.aws.SendMessage(name, body))
	}
}

func (w *world) state() fakeaws.QueueState { return w.aws.Queues()[0] }

// reading reads the queue until stop is called or the test ends.
func (w *world) reading(handle func(context.Context, queue.Message) queue.Result, change ...func(*queue.Config)) (stop func()) {
	config := queue.Config{API: w.api.SQS, Queue: name, Handle: handle, Clock: clock.RealClock{}, Failed: func(string) {}}
	for _, c := range change {
		c(&config)
	}
	return w.run(queue.New(config))
}

// bounded reads the queue until the test ends, and handles no more messages at the same time.
func (w *world) bounded(inFlight int64, handle func(context.Context, queue.Message) queue.Result) {
	w.run(queue.New(queue.Config{API: w.api.SQS, Queue: name, Handle: handle, Clock: clock.RealClock{}, Failed: func(string) {}}).Bound(inFlight))
}

func (w *world) run(c *queue.Consumer) (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(w.t, <-ended, "Run")
	})
	w.t.Cleanup(stop)
	return stop
}

// wait waits until so reports true.
func (w *world) wait(what string, so func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("not so in time: %s; queue %+v", what, w.state())
		}
	}
}

func (w *world) waitEmpty() {
	w.t.Helper()
	w.wait("an empty queue", func() bool { s := w.state(); return s.Visible+s.InFlight+s.Delayed == 0 })
}

// diary counts how often bodies were handled.
type diary struct {
	mu   sync.Mutex
	seen map[string]int
}

func newDiary() *diary { return &diary{seen: map[string]int{}} }

func (d *diary) note(body string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen[body]++
	return d.seen[body]
}

func (d *diary) bodies() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.seen))
}

func TestEveryMessageIsHandledAndDeleted(t *testing.T) {
	for _, tt := range []struct {
		name  string
		queue fakeaws.Queue
	}{
		{"in order", fakeaws.Queue{}},
		{"duplicated and shuffled", fakeaws.Queue{Duplicates: 20, Shuffles: 100}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, d := newWorld(t, tt.queue), newDiary()
			var want []string
			for n := range 300 {
				want = append(want, fmt.Sprintf("%03d", n))
			}
			w.send(want...)
			w.reading(func(_ context.Context, m queue.Message) queue.Result { d.note(m.Body); return queue.Done() })
			w.waitEmpty()
			assert.Empty(t, cmp.Diff(want, d.bodies()))
		})
	}
}

func TestRetriedMessageComesAgain(t *testing.T) {
	w, d := newWorld(t, fakeaws.Queue{}), newDiary()
	w.send("a")
	var receives []int
	w.reading(func(_ context.Context, m queue.Message) queue.Result {
		age := time.Since(m.Sent)
		assert.Truef(t, age >= -time.Second && age <= time.Minute, "sent %v ago", age)
		receives = append(receives, m.Receives)
		if d.note(m.Body) < 3 {
			return queue.Retry(0)
		}
		return queue.Done()
	})
	w.waitEmpty()
	assert.Empty(t, cmp.Diff([]int{1, 2, 3}, receives))
}

func TestMessageBeingHandledStaysHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := newWorld(t, fakeaws.Queue{}), newDiary()
		w.send("a")
		release := make(chan struct{})
		w.run(queue.New(queue.Config{API: w.api.SQS, Queue: name, Clock: clock.RealClock{}, Failed: func(string) {},
			Handle: func(_ context.Context, m queue.Message) queue.Result { d.note(m.Body); <-release; return queue.Done() },
		}).Hide(2*time.Second, 500*time.Millisecond))
		time.Sleep(4 * time.Second)
		assert.Equal(t, 1, w.state().Received, "times received while it was handled for twice the time it was hidden for")
		close(release)
		w.waitEmpty()
	})
}

func TestPanicOrHangDelaysNoOtherMessage(t *testing.T) {
	w, d := newWorld(t, fakeaws.Queue{}), newDiary()
	w.send("poison", "hang")
	for n := range 50 {
		w.send(fmt.Sprint(n))
	}
	w.reading(func(ctx context.Context, m queue.Message) queue.Result {
		switch m.Body {
		case "poison":
			panic("poison")
		case "hang":
			<-ctx.Done()
			return queue.Retry(0)
		}
		d.note(m.Body)
		return queue.Done()
	})
	w.wait("all but two done", func() bool { return w.state().Deleted == 50 })
	s := w.state()
	assert.Equalf(t, 2, s.InFlight, "%+v: want the two others out of sight", s)
}

func TestInFlightMessagesAreBounded(t *testing.T) {
	w := newWorld(t, fakeaws.Queue{})
	for n := range 100 {
		w.send(fmt.Sprint(n))
	}
	var mu sync.Mutex
	now, most := 0, 0
	count := func(by int) {
		mu.Lock()
		defer mu.Unlock()
		now += by
		most = max(most, now)
	}
	w.bounded(7, func(context.Context, queue.Message) queue.Result {
		count(1)
		defer count(-1)
		time.Sleep(5 * time.Millisecond)
		return queue.Done()
	})
	w.waitEmpty()
	assert.Truef(t, most <= 7, "%d handled at once, want at most 7", most)
}

func TestUnfinishedMessagesAreVisibleAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := newWorld(t, fakeaws.Queue{}), newDiary()
		w.send("a", "b", "c")
		stop := w.reading(func(ctx context.Context, m queue.Message) queue.Result {
			d.note(m.Body)
			<-ctx.Done()
			return queue.Retry(0)
		})
		w.wait("three at work", func() bool { return len(d.bodies()) == 3 })
		began := time.Now()
		stop()
		took := time.Since(began)
		assert.Truef(t, took <= time.Second, "ended after %v", took)
		s := w.state()
		assert.Truef(t, s.Visible == 3 && s.InFlight == 0, "%+v: want all three in sight for the next reader", s)
	})
}

func TestFailedCallsAreRetriedAndReported(t *testing.T) {
	w, d := newWorld(t, fakeaws.Queue{}), newDiary()
	for _, action := range []string{"GetQueueUrl", "ReceiveMessage"} {
		w.aws.Inject(fakeaws.Fault{Action: action, Times: 1, Status: 503, Code: "ServiceUnavailable"})
	}
	w.send("a")
	failed := newDiary()
	w.reading(func(_ context.Context, m queue.Message) queue.Result { d.note(m.Body); return queue.Done() },
		func(c *queue.Config) { c.Failed = func(call string) { failed.note(call) } })
	w.waitEmpty()
	assert.Empty(t, cmp.Diff([]string{"GetQueueUrl", "ReceiveMessage"}, failed.bodies()))
}

// away is SQS that fails until a moment, and then has one message.
type away struct {
	queue.API
	until time.Time
	given bool
}

func (a *away) GetQueueUrl(context.Context, *sqs.GetQueueUrlInput, ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error) {
	return &sqs.GetQueueUrlOutput{QueueUrl: aws.String("https://sqs.invalid/q")}, nil
}

func (a *away) ReceiveMessage(ctx context.Context, _ *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	if time.Now().Before(a.until) {
		return nil, errors.New("no route to host")
	}
	if a.given {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	a.given = true
	return &sqs.ReceiveMessageOutput{Messages: []types.Message{{MessageId: aws.String("a"), ReceiptHandle: aws.String("a"), Body: aws.String("a")}}}, nil
}

func (a *away) DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	return &sqs.DeleteMessageBatchOutput{}, nil
}

// A warning is worth two minutes.
func TestQueueIsReadSoonAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		ctx, cancel := context.WithCancel(klog.NewContext(t.Context(), textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(&log)))))
		defer cancel()
		api := &away{until: time.Now().Add(3 * time.Minute)}
		var late time.Duration
		failed := 0
		consumer := queue.New(queue.Config{API: api, Queue: name, Clock: clock.RealClock{}, Failed: func(string) { failed++ },
			Handle: func(context.Context, queue.Message) queue.Result {
				late = time.Since(api.until)
				time.AfterFunc(time.Second, cancel)
				return queue.Done()
			}})
		require.NoError(t, consumer.Run(ctx))
		assert.Truef(t, api.given && late <= 6*time.Second && failed <= 40,
			"received %t, handled %v after the outage of three minutes, asked %d times meanwhile", api.given, late, failed)
		assert.Equal(t, 1, strings.Count(log.String(), "Could not read the interruption queue"), "lines of the log, want one for one reason")
	})
}

// SQS reads the key of an encrypted queue in the name of its reader. SQS's own error has a code of either form.
func TestDeniedKeyOfTheQueueIsTheOneToAllow(t *testing.T) {
	for _, tt := range []struct {
		codes []string
		key   bool // the remedy of the last code is about the key
	}{
		{[]string{"AccessDenied"}, false},
		{[]string{"KMS.AccessDeniedException"}, true},
		{[]string{"KmsAccessDenied"}, true},
		{[]string{"KmsDisabled"}, true},
		{[]string{"AccessDenied", "KmsAccessDenied"}, true}, // once the policy allows sqs:ReceiveMessage
	} {
		t.Run(strings.Join(tt.codes, ", then "), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				ctx, cancel := context.WithCancel(klog.NewContext(t.Context(), textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(&log)))))
				defer cancel()
				consumer := queue.New(queue.Config{API: &refusing{codes: tt.codes, end: cancel}, Queue: name, Clock: clock.RealClock{}, Failed: func(string) {}})
				require.NoError(t, consumer.Run(ctx))
				lines := strings.Split(strings.TrimSpace(log.String()), "\n")
				last := lines[len(lines)-1]
				assert.Truef(t, strings.Contains(last, "kms:Decrypt") == tt.key && strings.Contains(last, "sqs:ReceiveMessage") != tt.key, "after %q: %s", tt.codes, last)
			})
		})
	}
}

// refusing is SQS that refuses with one code after the other, and ends its reader then.
type refusing struct {
	away
	codes []string
	end   func()
}

func (r *refusing) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, o ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	if len(r.codes) == 0 {
		r.end()
		return nil, ctx.Err()
	}
	code := r.codes[0]
	r.codes = r.codes[1:]
	return nil, &smithy.GenericAPIError{Code: code, Message: "no"}
}

// hasty is SQS that has no message, and says so at once. It ends the reader that asks it too often.
type hasty struct {
	queue.API
	asked int
	end   func()
}

func (h *hasty) ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	if h.asked++; h.asked > 1000 {
		h.end()
	}
	return &sqs.ReceiveMessageOutput{}, nil
}

func TestEndpointThatDoesNotWaitIsAskedOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 9500*time.Millisecond)
		defer cancel()
		api := &hasty{end: cancel}
		consumer := queue.New(queue.Config{API: api, Queue: "https://sqs.invalid/q", Clock: clock.RealClock{}, Failed: func(string) {}})
		require.NoError(t, consumer.Run(ctx))
		assert.Equal(t, 10, api.asked, "readings in ten seconds")
	})
}

func TestMessageComesAgainAfterFailedDeletion(t *testing.T) {
	w, d := newWorld(t, fakeaws.Queue{}), newDiary()
	w.aws.Inject(fakeaws.Fault{Action: "DeleteMessageBatch", Times: 1, Status: 503, Code: "ServiceUnavailable"})
	w.send("a")
	w.run(queue.New(queue.Config{API: w.api.SQS, Queue: name, Clock: clock.RealClock{}, Failed: func(string) {},
		Handle: func(_ context.Context, m queue.Message) queue.Result { d.note(m.Body); return queue.Done() },
	}).Hide(time.Second, 10*time.Second))
	w.waitEmpty()
	assert.Equal(t, 2, d.note("a")-1, "times handled")
}

func TestSmallReceptionsReturnTheirSlots(t *testing.T) {
	w, d := newWorld(t, fakeaws.Queue{}), newDiary()
	together := make(chan struct{})
	w.bounded(12, func(ctx context.Context, m queue.Message) queue.Result {
		d.note(m.Body)
		if strings.HasPrefix(m.Body, "together") {
			select {
			case <-together:
			case <-ctx.Done():
			}
		}
		return queue.Done()
	})
	for n := range 30 { // each by its own call, which could have brought ten
		body := fmt.Sprint(n)
		w.send(body)
		w.wait("message "+body+" handled", func() bool { return len(d.bodies()) == n+1 })
	}
	for n := range 10 {
		w.send(fmt.Sprint("together-", n))
	}
	w.wait("ten handled at the same time", func() bool { return len(d.bodies()) == 40 })
	close(together)
}

// ending ends the reader as soon as a reception has brought something.
type ending struct {
	queue.API
	end func()
}

func (e *ending) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, o ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	out, err := e.API.ReceiveMessage(ctx, in, o...)
	if err == nil && len(out.Messages) > 0 {
		e.end()
	}
	return out, err
}

func TestMessagesReceivedAtTheEndStayVisible(t *testing.T) {
	w, d := newWorld(t, fakeaws.Queue{}), newDiary()
	w.send("a", "b", "c")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	consumer := queue.New(queue.Config{API: &ending{API: w.api.SQS, end: cancel}, Queue: name, Clock: clock.RealClock{}, Failed: func(string) {},
		Handle: func(_ context.Context, m queue.Message) queue.Result { d.note(m.Body); return queue.Done() }})
	require.NoError(t, consumer.Run(ctx))
	if s := w.state(); s.Deleted != len(d.bodies()) || s.Visible+s.Deleted != 3 {
		t.Errorf("%+v after %v were handled: want all others in sight for the next reader", s, d.bodies())
	}
}
