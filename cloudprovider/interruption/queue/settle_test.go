package queue

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"k8s.io/utils/clock"
)

// slow is SQS whose changes of visibility take a second. It records the calls that have ended.
type slow struct {
	API
	ended []string
}

func (s *slow) DeleteMessageBatch(_ context.Context, in *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	s.ended = append(s.ended, fmt.Sprint("deleted ", aws.ToString(in.Entries[0].ReceiptHandle)))
	return &sqs.DeleteMessageBatchOutput{}, nil
}

func (s *slow) ChangeMessageVisibilityBatch(_ context.Context, in *sqs.ChangeMessageVisibilityBatchInput,
	_ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	time.Sleep(time.Second)
	s.ended = append(s.ended, fmt.Sprint("renewed ", aws.ToString(in.Entries[0].ReceiptHandle)))
	return &sqs.ChangeMessageVisibilityBatchOutput{}, nil
}

// reader is a Consumer of slow messages, which it hides again after two seconds.
func reader(api *slow, handle func(context.Context, Message) Result) *Consumer {
	return New(Config{API: api, Clock: clock.RealClock{}, Handle: handle}).Hide(time.Minute, 2*time.Second)
}

// A renewal that overtook the deletion would fail. SQS refuses a renewal of a deleted message.
func TestDeletionWaitsForRenewals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &slow{}
		c := reader(api, func(context.Context, Message) Result { time.Sleep(2500 * time.Millisecond); return Done() })
		c.keep(t.Context(), types.Message{ReceiptHandle: aws.String("receipt")}, time.Now())
		assert.Empty(t, cmp.Diff([]string{"renewed receipt", "deleted receipt"}, api.ended))
	})
}

// A message that is left to others must not be hidden from them.
func TestRetriedMessageIsNotHiddenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &slow{}
		c := reader(api, func(context.Context, Message) Result { return Retry(0) })
		c.keep(t.Context(), types.Message{ReceiptHandle: aws.String("receipt")}, time.Now())
		time.Sleep(3 * time.Minute)
		assert.Empty(t, cmp.Diff([]string{"renewed receipt"}, api.ended))
	})
}

// older is an SQS that knows only the older parameter of ReceiveMessage. It has one message.
type older struct{ slow }

func (o *older) ReceiveMessage(_ context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	m := types.Message{Attributes: map[string]string{}}
	for _, name := range in.AttributeNames { //nolint:staticcheck // older
		m.Attributes[string(name)] = "1000"
	}
	return &sqs.ReceiveMessageOutput{Messages: []types.Message{m}}, nil
}

func TestOlderEndpointGivesAgeAndReceptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got Message
		c := New(Config{API: &older{}, Clock: clock.RealClock{}, Handle: func(_ context.Context, m Message) Result { got = m; return Done() }})
		c.receive(t.Context())
		c.work.Wait()
		assert.Truef(t, got.Receives == 1000 && got.Sent.Equal(time.Unix(1, 0)),
			"received %d times, sent %v, want 1000 and a second after 1970", got.Receives, got.Sent)
	})
}
