package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/semaphore"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// Limits of SQS (API reference, read 2026-11).
const (
	maxBatch = 10               // messages of one call
	longPoll = 20 * time.Second // the longest a receiver may wait
)

const (
	// A received message stays hidden for visibility, which is renewed after renewAfter.
	visibility = 30 * time.Second
	renewAfter = 10 * time.Second
	// retryFirst bounds the pause after a failed call. It doubles each time, up to findMost, or up to receiveMost for a reading: a
	// warning that the queue has is worth two minutes.
	retryFirst, findMost, receiveMost = time.Second, time.Minute, 5 * time.Second
	// emptyPoll is the least time of a reading that brings nothing. Endpoints other than AWS may not wait for messages.
	emptyPoll = time.Second
	// afterPanic is the pause of a message whose handler panicked.
	afterPanic = 5 * time.Minute
	// inFlight bounds the messages that are handled at the same time. Each takes about 12 KiB. A warning stays until its node is gone.
	inFlight = 3000
)

// API are the calls that a Consumer makes. It needs sqs:GetQueueUrl (unless given a URL), sqs:ReceiveMessage, sqs:DeleteMessage
// and sqs:ChangeMessageVisibility.
type API interface {
	GetQueueUrl(context.Context, *sqs.GetQueueUrlInput, ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error)
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
	ChangeMessageVisibilityBatch(context.Context, *sqs.ChangeMessageVisibilityBatchInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error)
}

type Message struct {
	ID   string
	Body string
	// Sent is when the message was sent, by SQS's clock, zero if unknown.
	Sent time.Time
	// Received is when it was received, by SQS's clock if known, otherwise by ours.
	Received time.Time
	// Receives counts its receptions by anybody, this one included. It is at least 1.
	Receives int
}

// Result decides whether the Consumer deletes a handled message, or when the queue shows it again.
type Result struct {
	done  bool
	After time.Duration // until the message is visible again, zero if it is deleted
}

func Done() Result { return Result{done: true} }

// Retry shows the message to all readers again after the time, at most 12 hours.
func Retry(after time.Duration) Result { return Result{After: min(max(after, 0), 12*time.Hour)} }

type Config struct {
	API   API
	Queue string // name or URL
	// Handle handles one message. It may take as long as it needs, and returns when ctx ends. Many goroutines call it.
	Handle func(ctx context.Context, m Message) Result
	Clock  clock.WithTicker
	// Failed is called with the name of every call that failed.
	Failed func(call string)
}

// Consumer reads a queue. Make it with New and call Run once.
type Consumer struct {
	Config
	url     string
	slots   *semaphore.Weighted // of messages that are handled
	work    sync.WaitGroup
	settles awsclient.Batcher[bool, settled, error] // true for deletions

	hide, renewAfter time.Duration // visibility and renewAfter, but in tests
}

func New(c Config) *Consumer {
	q := &Consumer{Config: c, slots: semaphore.NewWeighted(inFlight), hide: visibility, renewAfter: renewAfter}
	q.settles.Clock, q.settles.Call = c.Clock, q.settleAll
	return q
}

// Run reads the queue until ctx ends. It returns when the handlers have returned and their results are applied, which it tries
// for a second. It retries a queue that does not exist, or may not be read, for ever.
func (c *Consumer) Run(ctx context.Context) error {
	if err := c.find(ctx); err != nil {
		return nil // ctx ended
	}
	klog.FromContext(ctx).V(1).Info("Reading the interruption queue", "queue", c.url)
	for ctx.Err() == nil {
		c.receive(ctx)
	}
	c.work.Wait()
	return nil
}

// find asks for the queue's URL until it has it. The error is ctx's.
func (c *Consumer) find(ctx context.Context) error {
	if strings.Contains(c.Queue, "://") {
		c.url = c.Queue
		return nil
	}
	return c.persist(ctx, "GetQueueUrl", findMost, func() error {
		out, err := c.API.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(c.Queue)})
		if err != nil {
			return err
		}
		if c.url = aws.ToString(out.QueueUrl); c.url == "" {
			return errors.New("SQS answered without a URL")
		}
		return nil
	})
}

// persist repeats a call until it succeeds, after pauses that grow up to most. It logs a failure when the reason is news. The error is ctx's.
func (c *Consumer) persist(ctx context.Context, call string, most time.Duration, make func() error) error {
	said := ""
	for pause := retryFirst; ; pause = min(2*pause, most) {
		err := make()
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		c.Failed(call)
		remedy := "check --asg-interruption-queue, its region, and the permissions sqs:GetQueueUrl, sqs:ReceiveMessage, sqs:DeleteMessage and " +
			"sqs:ChangeMessageVisibility"
		if strings.HasPrefix(strings.ToUpper(awsclient.Code(err)), "KMS") { // KmsAccessDenied, or KMS.AccessDeniedException
			remedy = "allow the autoscaler kms:Decrypt on the queue's key, and check that the key is enabled"
		}
		if reason := awsclient.Reason(err); reason+remedy != said {
			klog.FromContext(ctx).Error(err, "Could not read the interruption queue, trying again", "queue", c.Queue, "call", call,
				"reason", reason, "in", pause, "remedy", remedy)
			said = reason + remedy
		}
		if err := awsclient.Pause(ctx, c.Clock, pause); err != nil {
			return err
		}
	}
}

// receive waits for messages, receives up to ten, as many as there are slots, and has them handled.
func (c *Consumer) receive(ctx context.Context) {
	if c.slots.Acquire(ctx, 1) != nil {
		return
	}
	taken := 1
	for taken < maxBatch && c.slots.TryAcquire(1) {
		taken++
	}
	began := c.Clock.Now()
	var out *sqs.ReceiveMessageOutput
	err := c.persist(ctx, "ReceiveMessage", receiveMost, func() (err error) {
		out, err = c.API.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: aws.String(c.url), MaxNumberOfMessages: int32(taken), VisibilityTimeout: int32(c.hide / time.Second),
			WaitTimeSeconds: int32(longPoll / time.Second),
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{
				types.MessageSystemAttributeNameApproximateReceiveCount, types.MessageSystemAttributeNameSentTimestamp},
			// Endpoints other than AWS may know only this one.
			AttributeNames: []types.QueueAttributeName{ //nolint:staticcheck // older
				types.QueueAttributeName(types.MessageSystemAttributeNameApproximateReceiveCount),
				types.QueueAttributeName(types.MessageSystemAttributeNameSentTimestamp)},
		})
		return err
	})
	out = cmp.Or(out, &sqs.ReceiveMessageOutput{})
	c.slots.Release(int64(taken - len(out.Messages)))
	if early := emptyPoll - c.Clock.Since(began); len(out.Messages) == 0 && early > 0 {
		_ = awsclient.Pause(ctx, c.Clock, early) // Run sees the end of ctx
	}
	received, ok := awsmiddleware.GetServerTime(out.ResultMetadata)
	if !ok {
		received = c.Clock.Now()
	}
	for _, m := range out.Messages {
		c.work.Go(func() {
			if err != nil {
				c.settle(ctx, m, Retry(0)) // received as ctx ended
			} else {
				c.keep(ctx, m, received)
			}
			c.slots.Release(1)
		})
	}
}

// keep has a message handled, hides it meanwhile, and settles it.
func (c *Consumer) keep(ctx context.Context, m types.Message, received time.Time) {
	result := make(chan Result, 1)
	go func() { result <- c.handle(ctx, messageFrom(m, received)) }()
	renewals := c.Clock.NewTicker(c.renewAfter)
	defer renewals.Stop()
	for {
		select {
		case r := <-result:
			c.settle(ctx, m, r)
			return
		case <-renewals.C():
			c.settle(ctx, m, Retry(c.hide))
		}
	}
}

// handle isolates a panic of the handler to its message.
func (c *Consumer) handle(ctx context.Context, m Message) (result Result) {
	defer func() {
		if broken := recover(); broken != nil {
			klog.FromContext(ctx).Error(fmt.Errorf("panic: %v", broken), "Handling a message of the interruption queue broke, left it there",
				"message", m.ID, "stack", string(debug.Stack()))
			result = Retry(afterPanic)
		}
	}()
	return c.Handle(ctx, m)
}

func messageFrom(m types.Message, received time.Time) Message {
	message := Message{ID: aws.ToString(m.MessageId), Body: aws.ToString(m.Body), Received: received, Receives: 1}
	if n, err := strconv.Atoi(m.Attributes[string(types.MessageSystemAttributeNameApproximateReceiveCount)]); err == nil && n > 1 {
		message.Receives = n
	}
	if ms, err := strconv.ParseInt(m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64); err == nil && ms > 0 {
		message.Sent = time.UnixMilli(ms)
	}
	return message
}
