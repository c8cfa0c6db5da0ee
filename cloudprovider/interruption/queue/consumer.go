package queue

import (
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
	// visibility is how long a message is out of sight once received, or kept there; renewAfter is when that is renewed.
	visibility = 30 * time.Second
	renewAfter = 10 * time.Second
	// helpers read beside the first reader while there is much to read.
	helpers = 3
	// retryFirst and retryMost bound the pause after a call that failed; it doubles each time.
	retryFirst, retryMost = time.Second, time.Minute
	// afterPanic is how long a message is left alone whose handler panicked.
	afterPanic = 5 * time.Minute
)

// API are the calls that a Consumer makes. It needs sqs:GetQueueUrl (unless given a URL), sqs:ReceiveMessage, sqs:DeleteMessage
// and sqs:ChangeMessageVisibility.
type API interface {
	GetQueueUrl(context.Context, *sqs.GetQueueUrlInput, ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error)
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	settlesAPI
}

// Message is one message as received.
type Message struct {
	ID   string
	Body string
	// Sent is when it was put into the queue, by SQS's clock; zero where SQS does not tell.
	Sent time.Time
	// Received is when it was received, by SQS's clock too; by ours where SQS does not tell.
	Received time.Time
	// Receives is how often it has been received, by anybody, this time included; at least 1.
	Receives int
}

// Verdict is what becomes of a message.
type Verdict struct {
	done  bool
	after time.Duration
}

// Done deletes the message.
func Done() Verdict { return Verdict{done: true} }

// Leave puts the message back into sight of all readers after the time, at most 12 hours.
func Leave(after time.Duration) Verdict { return Verdict{after: min(max(after, 0), 12*time.Hour)} }

// After is the time after which the message comes into sight again; zero if it is deleted.
func (v Verdict) After() time.Duration { return v.after }

// Handler handles one message. It may take as long as it needs, and returns when ctx ends. Called from many goroutines.
type Handler func(ctx context.Context, m Message) Verdict

// Config of a Consumer.
type Config struct {
	API    API
	Queue  string // name or URL
	Handle Handler
	// InFlight bounds the messages that are handled at the same time; 0 means 1000.
	InFlight int
	Clock    clock.WithTicker
	// Failed is told of every call that failed, with its name; may be nil.
	Failed func(call string, err error)
}

// Consumer reads a queue. Make it with New and call Run once.
type Consumer struct {
	Config
	url     string
	slots   chan struct{} // one token for each message that may still be taken
	work    sync.WaitGroup
	busy    chan struct{} // tells the helpers of a full batch
	settler *settler

	hide, renewAfter time.Duration // visibility and renewAfter, but in tests
}

// New makes a Consumer.
func New(c Config) *Consumer {
	if c.InFlight == 0 {
		c.InFlight = 1000
	}
	if c.Failed == nil {
		c.Failed = func(string, error) {}
	}
	q := &Consumer{Config: c, slots: make(chan struct{}, c.InFlight), busy: make(chan struct{}, helpers),
		hide: visibility, renewAfter: renewAfter}
	for range c.InFlight {
		q.slots <- struct{}{}
	}
	return q
}

// Run reads the queue until ctx ends, and returns when the handlers have returned and what they said is done, which it tries
// for a second. A queue that does not exist, or may not be read, is tried again for ever.
func (c *Consumer) Run(ctx context.Context) error {
	if err := c.find(ctx); err != nil {
		return nil // ctx ended
	}
	klog.FromContext(ctx).V(1).Info("Reading the interruption queue", "queue", c.url)
	c.settler = newSettler(c)
	settling, stopSettling := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSettling()
	var settled, readers sync.WaitGroup
	settled.Go(func() { c.settler.run(settling) })
	readers.Go(func() { c.read(ctx) })
	for range helpers {
		readers.Go(func() { c.help(ctx) })
	}
	readers.Wait()
	c.work.Wait()
	stopSettling()
	settled.Wait()
	return nil
}

// find asks for the queue's URL until it has it. The error is that of ctx.
func (c *Consumer) find(ctx context.Context) error {
	if strings.Contains(c.Queue, "://") {
		c.url = c.Queue
		return nil
	}
	return c.persist(ctx, "GetQueueUrl", func() error {
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

// persist makes a call until it succeeds, at a slowing pace. The error is that of ctx.
func (c *Consumer) persist(ctx context.Context, call string, make func() error) error {
	for pause := retryFirst; ; pause = min(2*pause, retryMost) {
		err := make()
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		c.Failed(call, err)
		klog.FromContext(ctx).Error(err, "Could not read the interruption queue, trying again", "queue", c.Queue, "call", call,
			"reason", awsclient.Reason(err), "in", pause,
			"remedy", "check --aws-interruption-queue, its region, and the permissions sqs:GetQueueUrl, sqs:ReceiveMessage, sqs:DeleteMessage and sqs:ChangeMessageVisibility")
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.Clock.After(pause):
		}
	}
}

// read waits for messages, always.
func (c *Consumer) read(ctx context.Context) {
	for ctx.Err() == nil {
		if c.receive(ctx, longPoll) == maxBatch {
			for range helpers {
				select {
				case c.busy <- struct{}{}:
				default: // told already
				}
			}
		}
	}
}

// help reads while there is much to read.
func (c *Consumer) help(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.busy:
		}
		for ctx.Err() == nil && c.receive(ctx, 0) == maxBatch {
		}
	}
}

// receive takes up to ten messages, as many as may be taken, has them handled and returns their number.
func (c *Consumer) receive(ctx context.Context, wait time.Duration) int {
	taken := c.take(ctx)
	if taken == 0 {
		return 0
	}
	var out *sqs.ReceiveMessageOutput
	err := c.persist(ctx, "ReceiveMessage", func() (err error) {
		out, err = c.API.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: aws.String(c.url), MaxNumberOfMessages: int32(taken), VisibilityTimeout: int32(c.hide / time.Second),
			WaitTimeSeconds: int32(wait / time.Second),
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{
				types.MessageSystemAttributeNameApproximateReceiveCount, types.MessageSystemAttributeNameSentTimestamp},
		})
		return err
	})
	var messages []types.Message
	if out != nil {
		messages = out.Messages
	}
	for range taken - len(messages) {
		c.slots <- struct{}{}
	}
	received := c.Clock.Now()
	bySQS := received
	if out != nil {
		if told, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok {
			bySQS = told
		}
	}
	for _, m := range messages {
		id := c.settler.hold(aws.ToString(m.ReceiptHandle), received)
		if err != nil {
			c.settler.settle(id, Leave(0)) // received as ctx ended
			c.slots <- struct{}{}
			continue
		}
		c.work.Go(func() {
			c.settler.settle(id, c.handle(ctx, messageFrom(m, bySQS)))
			c.slots <- struct{}{}
		})
	}
	return len(messages)
}

// take waits until a message may be taken, and returns how many may, at most a batch.
func (c *Consumer) take(ctx context.Context) int {
	select {
	case <-ctx.Done():
		return 0
	case <-c.slots:
	}
	for n := 1; ; n++ {
		if n == maxBatch {
			return n
		}
		select {
		case <-c.slots:
		default:
			return n
		}
	}
}

// handle is the handler behind a wall: what one message breaks, others do not suffer from.
func (c *Consumer) handle(ctx context.Context, m Message) (v Verdict) {
	defer func() {
		if broken := recover(); broken != nil {
			klog.FromContext(ctx).Error(fmt.Errorf("panic: %v", broken), "Handling a message of the interruption queue broke, left it there",
				"message", m.ID, "stack", string(debug.Stack()))
			v = Leave(afterPanic)
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
