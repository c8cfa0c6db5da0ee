package doctor

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// maxBacklog is more messages than a reader ever leaves waiting: it takes them as they come.
const maxBacklog = 1000

// leastRetention is the retention of the shipped queue. Planned drains wait for their turn, and hooks for their drain, in the queue alone.
const leastRetention = 24 * time.Hour

// mostReceives is the highest receive count of a redrive policy (SQS API reference, SetQueueAttributes, read 2026-11). A drain that
// waits is received about a hundred times a day.
const mostReceives = 1000

// sender is a service that the queue's policy must let send, or the ARN of a rule or topic of it: messages may come through SNS.
var sender = regexp.MustCompile(`"(events|sns)\.amazonaws\.com|"arn:[^":]+:(events|sns):`)

func checkQueue(ctx context.Context, in *installation, c *Check) (looked bool) {
	switch {
	case in.Queue == "" && in.ours != nil:
		return true // the autoscaler reads no queue
	case in.Queue == "" || unknown(in.Queue):
		c.skip("the queue of interruptions", "its name is not known", "--asg-interruption-queue, if the autoscaler has that flag")
		return false
	case in.clients == nil:
		c.skip("the queue of interruptions", brief(in.account.err), in.account.needs)
		return false
	}
	object := fmt.Sprintf("queue %q", in.Queue)
	url, attributes, err := in.queueAttributes(ctx)
	switch {
	case awsclient.Code(err) != "" && strings.Contains(awsclient.Code(err), "NonExistentQueue"), awsclient.IsNotFound(err), awsclient.Code(err) == "QueueDoesNotExist":
		c.find(object, "it does not exist in "+in.region+": no interruption is heard of", "sqs:GetQueueUrl, sqs:GetQueueAttributes", "aws sqs list-queues")
		return true
	case err != nil:
		c.skip("the queue of interruptions", brief(err), "sqs:GetQueueUrl and sqs:GetQueueAttributes, which the shipped policy leaves out because only this check uses it")
		return false
	}
	set := "aws sqs set-queue-attributes --queue-url " + shellword.Quote(url) + " --attributes "
	if s, err := strconv.Atoi(attributes[string(sqstypes.QueueAttributeNameMessageRetentionPeriod)]); err == nil && time.Duration(s)*time.Second < leastRetention {
		c.find(object, fmt.Sprintf("it drops messages after %v: nodes whose drain waits or lasts longer are not drained, and their lifecycle hooks not completed",
			time.Duration(s)*time.Second), "MessageRetentionPeriod of GetQueueAttributes", set+fmt.Sprintf("MessageRetentionPeriod=%.0f", leastRetention.Seconds()))
	}
	var redrive struct {
		Most json.Number `json:"maxReceiveCount"` // SQS takes it as text, too
	}
	_ = json.Unmarshal([]byte(cmp.Or(attributes[string(sqstypes.QueueAttributeNameRedrivePolicy)], "{}")), &redrive)
	if n, err := redrive.Most.Int64(); err == nil && n < mostReceives {
		c.find(object, fmt.Sprintf("it moves messages to a dead-letter queue after %d receptions: each try of a drain that waits is one, so its node is never drained", n),
			"RedrivePolicy of GetQueueAttributes", set+`'{"RedrivePolicy":""}'`)
	}
	arn := attributes[string(sqstypes.QueueAttributeNameQueueArn)]
	if n, _ := strconv.Atoi(attributes[string(sqstypes.QueueAttributeNameApproximateNumberOfMessages)]); n > maxBacklog {
		c.find(object, fmt.Sprintf("%d messages wait: nobody reads it, or too slowly", n), "ApproximateNumberOfMessages of GetQueueAttributes",
			"kubectl --namespace "+shellword.Quote(in.namespace)+" logs "+shellword.Quote(in.ourDeployment())+" --tail=100")
	}
	if !sender.MatchString(attributes[string(sqstypes.QueueAttributeNamePolicy)]) {
		c.find(object, "its policy lets neither EventBridge nor SNS send: no interruption arrives", "Policy of GetQueueAttributes names neither events.amazonaws.com nor SNS",
			"aws cloudformation deploy --stack-name CLUSTER_NAME-interruptions --template-file manifests/interruption/cloudformation.yaml "+
				"--capabilities CAPABILITY_IAM --parameter-overrides ClusterName=CLUSTER_NAME")
	}
	c.skip("the EventBridge rules that fill the queue", "asgctl has no client of EventBridge",
		"events:ListRuleNamesByTarget: aws events list-rule-names-by-target --target-arn "+shellword.Quote(arn))
	return true
}

func (in *installation) queueAttributes(ctx context.Context) (url string, attributes map[string]string, err error) {
	url = in.Queue
	if !strings.Contains(url, "://") {
		found, err := in.clients.SQS.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &in.Queue})
		if err != nil {
			return "", nil, err
		}
		url = aws.ToString(found.QueueUrl)
	}
	out, err := in.clients.SQS.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{
		sqstypes.QueueAttributeNamePolicy, sqstypes.QueueAttributeNameQueueArn, sqstypes.QueueAttributeNameApproximateNumberOfMessages,
		sqstypes.QueueAttributeNameMessageRetentionPeriod, sqstypes.QueueAttributeNameRedrivePolicy,
	}})
	if err != nil {
		return "", nil, err
	}
	return url, out.Attributes, nil
}
