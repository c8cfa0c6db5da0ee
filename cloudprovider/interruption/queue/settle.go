package queue

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

const (
	// A result waits gatherFor for others to share its call.
	gatherFor = 20 * time.Millisecond
	// callsAtOnce bounds the calls of one batch of results.
	callsAtOnce = 16
	// callLimit bounds the calls of one batch, and lastCallLimit their time after ctx has ended.
	callLimit, lastCallLimit = 10 * time.Second, 800 * time.Millisecond
)

// settled is a message to delete, or to hide or show.
type settled struct {
	receipt string
	after   time.Duration // until it is visible
}

// settle applies the result, together with others, and returns when SQS has answered. A failure heals itself: the message becomes visible
// and is handled again.
func (c *Consumer) settle(ctx context.Context, m types.Message, r Result) {
	_ = c.settles.Join(ctx, r.done, gatherFor, settled{aws.ToString(m.ReceiptHandle), r.After})
}

// settleAll deletes the messages, or changes their visibility, ten by a call, whether ctx has ended or not.
func (c *Consumer) settleAll(ctx context.Context, deleted bool, take func() []settled) error {
	call, settle := "ChangeMessageVisibility", c.change
	if deleted {
		call, settle = "DeleteMessage", c.delete
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), callLimit)
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastCallLimit, cancel) })()
	batches := slices.Collect(slices.Chunk(take(), maxBatch))
	awsclient.Parallel(len(batches), callsAtOnce, func(at int) {
		refused, err := settle(limited, batches[at])
		c.report(ctx, call, refused, err)
	})
	return nil
}

func (c *Consumer) delete(ctx context.Context, messages []settled) ([]types.BatchResultErrorEntry, error) {
	in := &sqs.DeleteMessageBatchInput{QueueUrl: aws.String(c.url)}
	for n, m := range messages {
		in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(n)), ReceiptHandle: aws.String(m.receipt)})
	}
	out, err := c.API.DeleteMessageBatch(ctx, in)
	return cmp.Or(out, &sqs.DeleteMessageBatchOutput{}).Failed, err
}

func (c *Consumer) change(ctx context.Context, messages []settled) ([]types.BatchResultErrorEntry, error) {
	in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: aws.String(c.url)}
	for n, m := range messages {
		in.Entries = append(in.Entries, types.ChangeMessageVisibilityBatchRequestEntry{
			Id: aws.String(strconv.Itoa(n)), ReceiptHandle: aws.String(m.receipt), VisibilityTimeout: int32(m.after / time.Second)})
	}
	out, err := c.API.ChangeMessageVisibilityBatch(ctx, in)
	return cmp.Or(out, &sqs.ChangeMessageVisibilityBatchOutput{}).Failed, err
}

func (c *Consumer) report(ctx context.Context, call string, refused []types.BatchResultErrorEntry, err error) {
	log := klog.FromContext(ctx).WithValues("queue", c.url, "call", call)
	if err != nil {
		c.Failed(call)
	}
	switch {
	case awsclient.IsDenied(err):
		log.Error(err, "A call to the interruption queue was refused, its messages will come again", "remedy", "allow sqs:"+call)
	case err != nil:
		log.V(1).Info("A call to the interruption queue failed, its messages will come again", "err", err)
	}
	for _, f := range refused {
		log.V(2).Info("SQS refused one message of a call", "code", aws.ToString(f.Code), "message", aws.ToString(f.Message))
	}
}
