package fakeaws

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
)

func TestSkewedClockShowsInAnswersAndActivities(t *testing.T) {
	for _, ahead := range []time.Duration{0, 3 * time.Hour, -time.Hour} {
		inBubble(t, oneGroup(withDesired(1)), func(t *testing.T, s *Server, c clients) {
			s.SetClockSkew(ahead)
			out, err := c.autoscaling.DescribeScalingActivities(t.Context(), &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: aws.String("g")})
			if err != nil {
				t.Fatal(err)
			}
			want := time.Now().Add(ahead).Truncate(time.Second)
			if got, ok := awsmiddleware.GetServerTime(out.ResultMetadata); !ok || got.Sub(want).Abs() > time.Second {
				t.Errorf("%v ahead: the answer is of %v, want %v", ahead, got, want)
			}
			for _, act := range out.Activities {
				if act.StartTime.Sub(want).Abs() > time.Second || act.EndTime.Sub(want).Abs() > time.Second {
					t.Errorf("%v ahead: the activity went from %v to %v, want %v", ahead, act.StartTime, act.EndTime, want)
				}
			}
		})
	}
}
