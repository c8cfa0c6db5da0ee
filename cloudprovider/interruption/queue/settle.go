package queue

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// callLimit bounds a call, and lastCallLimit its time after ctx has ended.
const callLimit, lastCallLimit = 10 * time.Second, 800 * time.Millisecond

// settle deletes the message, or hides or shows it, whether ctx has ended or not. A failure heals itself: the message becomes visible
// and is handled again.
func (c *Consumer) settle(ctx context.Context, m types.Message, r Result) {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), callLimit)
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastCallLimit, cancel) })()
	call, err := "DeleteMessage", error(nil)
	if r.done {
		_, err = c.API.DeleteMessage(limited, &sqs.DeleteMessageInput{QueueUrl: aws.String(c.url), ReceiptHandle: m.ReceiptHandle})
	} else {
		call = "ChangeMessageVisibility"
		_, err = c.API.ChangeMessageVisibility(limited, &sqs.ChangeMessageVisibilityInput{
			QueueUrl: aws.String(c.url), ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: int32(r.after / time.Second)})
	}
	if err == nil {
		return
	}
	c.Failed(call)
	log := klog.FromContext(ctx).WithValues("queue", c.url, "call", call)
	if awsclient.IsDenied(err) {
		log.Error(err, "A call to the interruption queue was refused, its message will come again", "remedy", "allow sqs:"+call)
	} else {
		log.V(1).Info("A call to the interruption queue failed, its message will come again", "err", err)
	}
}
