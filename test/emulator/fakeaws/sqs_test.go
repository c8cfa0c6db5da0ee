package fakeaws

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// queues is an account with queues alone.
func queues(all ...Queue) Config { return Config{Queues: all} }

func queueURL(t *testing.T, c clients, name string) *string {
	out, err := c.sqs.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: &name})
	require.NoError(t, err)
	return out.QueueUrl
}

// receive receives up to ten messages of queue q.
func receive(t *testing.T, c clients, change ...func(*sqs.ReceiveMessageInput)) []types.Message {
	in := &sqs.ReceiveMessageInput{
		QueueUrl: queueURL(t, c, "q"), MaxNumberOfMessages: 10,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	}
	for _, f := range change {
		f(in)
	}
	out, err := c.sqs.ReceiveMessage(t.Context(), in)
	require.NoError(t, err)
	return out.Messages
}

func bodies(messages []types.Message) []string {
	out := []string{}
	for _, m := range messages {
		out = append(out, *m.Body)
	}
	return out
}

func wantBodies(t *testing.T, when string, got []types.Message, want ...string) {
	assert.Emptyf(t, cmp.Diff(append([]string{}, want...), bodies(got)), "%s: received (-want +got)", when)
}

func send(t *testing.T, s *Server, bodies ...string) {
	for _, body := range bodies {
		require.NoError(t, s.SendMessage("q", body))
	}
}

// remove deletes a message of queue q. An error is one of the batch's entry.
func remove(t *testing.T, c clients, handle *string) (code string) {
	out, err := c.sqs.DeleteMessageBatch(t.Context(), &sqs.DeleteMessageBatchInput{QueueUrl: queueURL(t, c, "q"),
		Entries: []types.DeleteMessageBatchRequestEntry{{Id: aws.String("a"), ReceiptHandle: handle}}})
	return codeOf(t, err, out.Successful, out.Failed)
}

// hide hides a message of queue q for some seconds from now. An error is one of the batch's entry.
func hide(t *testing.T, c clients, handle *string, seconds int32) (code string) {
	out, err := c.sqs.ChangeMessageVisibilityBatch(t.Context(), &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: queueURL(t, c, "q"),
		Entries: []types.ChangeMessageVisibilityBatchRequestEntry{{Id: aws.String("a"), ReceiptHandle: handle, VisibilityTimeout: seconds}}})
	return codeOf(t, err, out.Successful, out.Failed)
}

// codeOf is the code of the one entry of a batch, "" if it succeeded.
func codeOf[T any](t *testing.T, err error, done []T, failed []types.BatchResultErrorEntry) string {
	require.Truef(t, err == nil && len(done)+len(failed) == 1, "done %v, failed %v, error %v", done, failed, err)
	if len(failed) == 0 {
		return ""
	}
	assert.Truef(t, failed[0].SenderFault, "%s is not the sender's fault", *failed[0].Code)
	return *failed[0].Code
}

// Developer guide, "Amazon SQS visibility timeout": a message received and not deleted can be received again after it.
func TestMessageComesBackUntilItIsDeleted(t *testing.T) {
	inBubble(t, queues(Queue{Name: "q"}), func(t *testing.T, s *Server, c clients) {
		queueURL(t, c, "q") // takes a moment
		millis := func(in time.Duration) string { return fmt.Sprint(time.Now().Add(in).UnixMilli()) }
		sent := millis(0)
		send(t, s, "one")
		received := millis(5 * time.Millisecond) // when the URL was asked for again
		got := receive(t, c)
		wantBodies(t, "at first", got, "one")
		want := map[string]string{
			"ApproximateReceiveCount": "1", "SenderId": "123456789012", "SentTimestamp": sent, "ApproximateFirstReceiveTimestamp": received,
		}
		assert.Empty(t, cmp.Diff(want, got[0].Attributes), "attributes (-want +got)")
		wantBodies(t, "while it is hidden", receive(t, c))
		pass(31 * time.Second)
		again := receive(t, c)
		wantBodies(t, "when it is visible again", again, "one")
		n := again[0].Attributes["ApproximateReceiveCount"]
		assert.Truef(t, n == "2" && *again[0].ReceiptHandle != *got[0].ReceiptHandle, "receive count %s, or the handle is the same", n)
		if code := remove(t, c, got[0].ReceiptHandle); code != "" || s.Queues()[0].InFlight != 1 {
			t.Errorf("an old handle: %q, queue %+v; want neither error nor effect", code, s.Queues()[0])
		}
		code := remove(t, c, again[0].ReceiptHandle)
		assert.Truef(t, code == "" && s.Queues()[0].Deleted == 1, "the newest handle: %q, queue %+v", code, s.Queues()[0])
		assert.Equal(t, "ReceiptHandleIsInvalid", remove(t, c, aws.String("rubbish")), "no handle")
		pass(time.Hour)
		wantBodies(t, "after it is deleted", receive(t, c))
	})
}

func TestLongPollEndsWithMessageOrEmpty(t *testing.T) {
	inBubble(t, queues(Queue{Name: "q"}), func(t *testing.T, s *Server, c clients) {
		long := func(in *sqs.ReceiveMessageInput) { in.WaitTimeSeconds = 20 }
		began := time.Now()
		wantBodies(t, "of an empty queue", receive(t, c, long))
		assert.Equal(t, 20*time.Second, time.Since(began).Round(time.Second), "an empty long poll took, want 20s")
		began = time.Now()
		time.AfterFunc(7*time.Second, func() { _ = s.SendMessage("q", "late") })
		wantBodies(t, "of one sent meanwhile", receive(t, c, long), "late")
		assert.Equal(t, 7*time.Second, time.Since(began).Round(time.Second), "took, want 7s")
		pass(15 * time.Second)
		began = time.Now()
		wantBodies(t, "of one that becomes visible", receive(t, c, long), "late")
		assert.Equal(t, 15*time.Second, time.Since(began).Round(time.Second), "took, want the other 15s of its visibility timeout")
	})
}

func TestBrokenPollTakesNothing(t *testing.T) {
	inBubble(t, queues(Queue{Name: "q"}), func(t *testing.T, s *Server, c clients) {
		url := queueURL(t, c, "q")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 20})
		require.Error(t, err, "the poll was not broken off")
		send(t, s, "one")
		wantBodies(t, "afterwards", receive(t, c), "one")
	})
}

func TestVisibilityIsExtendedWithinTwelveHours(t *testing.T) {
	inBubble(t, queues(Queue{Name: "q", VisibilityTimeout: Duration(10 * time.Second)}), func(t *testing.T, s *Server, c clients) {
		send(t, s, "one")
		handle := receive(t, c)[0].ReceiptHandle
		for _, step := range []struct {
			after   time.Duration
			seconds int32
			code    string
		}{
			{9 * time.Second, 10, ""}, {9 * time.Second, 10, ""}, {9 * time.Second, 10, ""},
			{0, 43200, "InvalidParameterValue"}, {0, 0, ""}, {0, 10, "MessageNotInflight"},
		} {
			pass(step.after)
			code := hide(t, c, handle, step.seconds)
			assert.Truef(t, code == step.code, "hidden for %d more seconds: %q, want %q", step.seconds, code, step.code)
			if step.after > 0 {
				wantBodies(t, "while it is extended", receive(t, c))
			}
		}
		wantBodies(t, "once it is given back", receive(t, c), "one")
	})
}

func TestBatchesAnswerForEachEntry(t *testing.T) {
	inBubble(t, queues(Queue{Name: "q"}), func(t *testing.T, s *Server, c clients) {
		url := queueURL(t, c, "q")
		send(t, s, "one")
		_, err := c.sqs.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("two"), DelaySeconds: 5})
		require.NoError(t, err)
		got := receive(t, c)
		wantBodies(t, "before the delay is over", got, "one")
		out, err := c.sqs.DeleteMessageBatch(t.Context(), &sqs.DeleteMessageBatchInput{QueueUrl: url, Entries: []types.DeleteMessageBatchRequestEntry{
			{Id: aws.String("a"), ReceiptHandle: got[0].ReceiptHandle}, {Id: aws.String("x"), ReceiptHandle: aws.String("rubbish")},
		}})
		assert.Truef(t, err == nil && len(out.Successful) == 1 && len(out.Failed) == 1 && *out.Failed[0].Code == "ReceiptHandleIsInvalid" && out.Failed[0].SenderFault,
			"one handle is rubbish: %+v, %v", out, err)
		_, err = c.sqs.DeleteMessageBatch(t.Context(), &sqs.DeleteMessageBatchInput{QueueUrl: url, Entries: make([]types.DeleteMessageBatchRequestEntry, 0)})
		wantAPIError(t, err, "AWS.SimpleQueueService.EmptyBatchRequest", "")
		pass(6 * time.Second)
		late := receive(t, c)
		wantBodies(t, "after the delay", late, "two")
		assert.Equal(t, "", hide(t, c, late[0].ReceiptHandle, 0), "changed")
		wantBodies(t, "given back", receive(t, c), "two")
	})
}

func TestMessagesAreNotKeptBeyondTheirRetention(t *testing.T) {
	inBubble(t, queues(Queue{Name: "q", Retention: Duration(5 * time.Minute)}), func(t *testing.T, s *Server, c clients) {
		send(t, s, "old")
		pass(4 * time.Minute)
		send(t, s, "young")
		pass(time.Minute)
		wantBodies(t, "five minutes after the first", receive(t, c), "young")
	})
}

func TestDeliveryAtLeastOnceInAnyOrder(t *testing.T) {
	run := func(t *testing.T) (order []string) {
		cfg := queues(Queue{Name: "q", Duplicates: 30, Shuffles: 50})
		cfg.Seed = 7
		inBubble(t, cfg, func(t *testing.T, s *Server, c clients) {
			for n := range 40 {
				send(t, s, fmt.Sprint(n))
			}
			for range 12 {
				order = append(order, bodies(receive(t, c))...)
			}
		})
		return order
	}
	first := run(t)
	seen := map[string]int{}
	inOrder := true
	for n, body := range first {
		seen[body]++
		inOrder = inOrder && (n == 0 || first[n-1] <= body)
	}
	assert.Truef(t, len(seen) == 40 && len(first) != 40 && !inOrder,
		"%d receptions of %d messages, in order %v; want all 40, some twice, some out of order", len(first), len(seen), inOrder)
	assert.Empty(t, cmp.Diff(first, run(t)), "the same seed gave something else")
}

func TestSQSFaultsLookAsInSQS(t *testing.T) {
	inBubble(t, queues(Queue{Name: "q"}), func(t *testing.T, s *Server, c clients) {
		send(t, s, "one")
		in := &sqs.ReceiveMessageInput{QueueUrl: queueURL(t, c, "q")}
		call := func() error { _, err := c.sqs.ReceiveMessage(t.Context(), in); return err }
		s.Inject(Fault{Service: "sqs", Action: "ReceiveMessage", Code: "AccessDenied", Times: 1})
		wantAPIError(t, call(), "AccessDenied", "User: arn:aws:sts::123456789012:assumed-role/cluster-autoscaler/fakeaws is not authorized to perform: "+
			"sqs:receivemessage on resource: arn:aws:sqs:us-west-2:123456789012:q because no identity-based policy allows the sqs:receivemessage action")
		s.Inject(Fault{Action: "ReceiveMessage", Code: "Throttling", Times: 1, Params: map[string]string{"QueueUrl": *in.QueueUrl}})
		wantAPIError(t, call(), "RequestThrottled", "")
		s.Inject(Fault{Action: "ReceiveMessage", Body: Lost, Times: 1})
		assert.Error(t, call(), "a lost answer arrived")
		q := s.Queues()[0]
		assert.Equalf(t, 1, q.InFlight, "a lost answer leaves the message in flight: %+v", q)
		assert.Equal(t, 3, s.Calls()["ReceiveMessage"], "calls counted")
	})
}
