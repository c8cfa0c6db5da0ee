package queue

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

const (
	// gatherFor is how long a result waits for others to share its call.
	gatherFor = 20 * time.Millisecond
	// batchesAtOnce bounds the calls under way.
	batchesAtOnce = 8
	// flushLimit bounds the calls of one round, lastFlushLimit the calls at the end.
	flushLimit, lastFlushLimit = 10 * time.Second, 800 * time.Millisecond
)

// settlesAPI are the calls that delete, hide or show a message.
type settlesAPI interface {
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
	ChangeMessageVisibilityBatch(context.Context, *sqs.ChangeMessageVisibilityBatchInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error)
}

// settler keeps messages hidden while they are handled, and then deletes or shows them, ten by a call. Its failures heal
// themselves: the message becomes visible and is handled again.
type settler struct {
	api    settlesAPI
	url    string
	clock  clock.WithTicker
	failed func(call string, err error)
	wake   chan struct{}

	hide, renewAfter time.Duration

	mu      sync.Mutex // guards the fields below
	held    map[int]*held
	last    int
	deleted []string // receipts
	changes []visibilityChange
}

type held struct {
	receipt string
	hidden  time.Time // when it was last hidden
}

type visibilityChange struct {
	receipt string
	after   time.Duration
}

func newSettler(c *Consumer) *settler {
	return &settler{api: c.API, url: c.url, clock: c.Clock, failed: c.Failed, wake: make(chan struct{}, 1),
		hide: c.hide, renewAfter: c.renewAfter, held: map[int]*held{}}
}

// hold keeps a message hidden until it is settled, and returns its number.
func (s *settler) hold(receipt string, received time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	s.held[s.last] = &held{receipt: receipt, hidden: received}
	return s.last
}

// settle applies the result soon.
func (s *settler) settle(id int, r Result) {
	s.mu.Lock()
	h := s.held[id]
	delete(s.held, id)
	if r.done {
		s.deleted = append(s.deleted, h.receipt)
	} else {
		s.changes = append(s.changes, visibilityChange{h.receipt, r.after})
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run settles until ctx ends, and then the rest.
func (s *settler) run(ctx context.Context) {
	renewals := s.clock.NewTicker(s.renewAfter / 2)
	defer renewals.Stop()
	for {
		select {
		case <-ctx.Done():
		case <-renewals.C():
			s.renew()
		case <-s.wake:
			s.clock.Sleep(gatherFor)
		}
		if ctx.Err() != nil {
			s.flush(ctx, lastFlushLimit)
			return
		}
		s.flush(ctx, flushLimit)
	}
}

// renew hides messages again that have been hidden for a while.
func (s *settler) renew() {
	now := s.clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.held {
		if now.Sub(h.hidden) >= s.renewAfter {
			h.hidden = now
			s.changes = append(s.changes, visibilityChange{h.receipt, s.hide})
		}
	}
}

// flush makes the calls that are due, whether ctx has ended or not.
func (s *settler) flush(ctx context.Context, limit time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	s.mu.Lock()
	deleted, changes := s.deleted, s.changes
	s.deleted, s.changes = nil, nil
	s.mu.Unlock()
	var calls errgroup.Group
	calls.SetLimit(batchesAtOnce)
	for receipts := range slices.Chunk(changes, maxBatch) {
		calls.Go(func() error { s.change(ctx, receipts); return nil })
	}
	_ = calls.Wait() // so that no deletion overtakes an earlier renewal
	for receipts := range slices.Chunk(deleted, maxBatch) {
		calls.Go(func() error { s.delete(ctx, receipts); return nil })
	}
	_ = calls.Wait()
}

func (s *settler) delete(ctx context.Context, receipts []string) {
	in := &sqs.DeleteMessageBatchInput{QueueUrl: aws.String(s.url)}
	for n, receipt := range receipts {
		in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(n)), ReceiptHandle: aws.String(receipt)})
	}
	out, err := s.api.DeleteMessageBatch(ctx, in)
	if err != nil {
		s.report(ctx, "DeleteMessage", err)
		return
	}
	s.reportEach(ctx, "DeleteMessage", out.Failed)
}

func (s *settler) change(ctx context.Context, messages []visibilityChange) {
	in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: aws.String(s.url)}
	for n, m := range messages {
		in.Entries = append(in.Entries, types.ChangeMessageVisibilityBatchRequestEntry{
			Id: aws.String(strconv.Itoa(n)), ReceiptHandle: aws.String(m.receipt), VisibilityTimeout: int32(m.after / time.Second)})
	}
	out, err := s.api.ChangeMessageVisibilityBatch(ctx, in)
	if err != nil {
		s.report(ctx, "ChangeMessageVisibility", err)
		return
	}
	s.reportEach(ctx, "ChangeMessageVisibility", out.Failed)
}

func (s *settler) report(ctx context.Context, call string, err error) {
	s.failed(call, err)
	if awsclient.IsDenied(err) {
		klog.FromContext(ctx).Error(err, "A call to the interruption queue was refused, its messages will come again", "queue", s.url,
			"call", call, "remedy", "allow sqs:"+call)
		return
	}
	klog.FromContext(ctx).V(1).Info("A call to the interruption queue failed, its messages will come again", "queue", s.url, "call", call, "err", err)
}

func (s *settler) reportEach(ctx context.Context, call string, failed []types.BatchResultErrorEntry) {
	for _, f := range failed {
		klog.FromContext(ctx).V(2).Info("SQS refused one message of a call", "call", call, "code", aws.ToString(f.Code), "message", aws.ToString(f.Message))
	}
}
