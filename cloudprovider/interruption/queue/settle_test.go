package queue

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"
)

// slow is SQS whose changes of visibility take a second. It records the calls that have ended.
type slow struct{ ended []string }

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

// A renewal that overtook the deletion would fail. SQS refuses a renewal of a deleted message.
func TestDeletionWaitsForRenewals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &slow{}
		s := &settler{api: api, clock: clock.RealClock{}, wake: make(chan struct{}, 1), hide: time.Minute, renewAfter: time.Second, held: map[int]*held{}}
		id := s.hold("receipt", time.Now().Add(-time.Minute))
		s.renew()
		s.settle(id, Done())
		s.flush(t.Context(), time.Minute)
		if diff := cmp.Diff([]string{"renewed receipt", "deleted receipt"}, api.ended); diff != "" {
			t.Error(diff)
		}
	})
}

// A message that is left to others must not be hidden from them.
func TestRetriedMessageIsNotHiddenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &slow{}
		s := &settler{api: api, clock: clock.RealClock{}, wake: make(chan struct{}, 1), hide: time.Minute, renewAfter: time.Second, held: map[int]*held{}}
		s.settle(s.hold("receipt", time.Now()), Retry(0))
		for range 3 {
			s.flush(t.Context(), time.Minute)
			time.Sleep(time.Minute)
			s.renew()
		}
		if diff := cmp.Diff([]string{"renewed receipt"}, api.ended); diff != "" {
			t.Error(diff)
		}
	})
}
