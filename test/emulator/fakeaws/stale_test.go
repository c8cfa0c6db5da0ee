package fakeaws

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// inStale runs a test in an account of one group whose readings are up to three seconds old, in the worst way.
func inStale(t *testing.T, test func(*testing.T, *Server, clients)) {
	inBubble(t, oneGroup(), func(t *testing.T, s *Server, c clients) {
		s.SetStale(StaleReads{Most: Duration(3 * time.Second), Worst: true})
		pass(10 * time.Second)
		test(t, s, c)
	})
}

func TestWorstStaleReadingMissesTheWriteBefore(t *testing.T) {
	inStale(t, func(t *testing.T, s *Server, c clients) {
		for round := range int32(3) {
			setDesired(t, c, "g", round+1)
			for n, want := range []int32{round, round + 1, round, round + 1} {
				assert.Equalf(t, want, *describe(t, c, "g").DesiredCapacity, "reading %d after desired %d was set shows", n+1, round+1)
			}
			pass(4 * time.Second)
		}
	})
}

func TestStaleReadingOfInstancesLacksNewOnes(t *testing.T) {
	inStale(t, func(t *testing.T, s *Server, c clients) {
		out, err := launch(t.Context(), c, "token", 1)
		require.NoError(t, err)
		in := &ec2.DescribeInstancesInput{InstanceIds: out.Instances[0].InstanceIds}
		_, err = c.ec2.DescribeInstances(t.Context(), in)
		wantAPIError(t, err, "InvalidInstanceID.NotFound", "The instance ID '"+in.InstanceIds[0]+"' does not exist")
		_, err = c.ec2.DescribeInstances(t.Context(), in)
		assert.NoError(t, err, "second reading")
		all, err := c.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{})
		assert.Truef(t, err == nil && len(all.Reservations) == 0,
			"third reading: %d instances, error %v; want none yet", len(all.Reservations), err)
	})
}

func TestStaleReadingOfActivitiesIsAsItWas(t *testing.T) {
	inStale(t, func(t *testing.T, s *Server, c clients) {
		setDesired(t, c, "g", 1)
		pass(600 * time.Millisecond)
		assert.Empty(t, activities(t, c, "g"), "600 ms after the write activities are shown, want none")
		got := activities(t, c, "g")
		assert.Truef(t, len(got) == 1 && got[0].StatusCode == "PreInService", "the present shows %+v, want one activity that is not over", got)
		pass(2 * time.Second)
		assert.Empty(t, activities(t, c, "g"), "a reading from before the launch shows activities, want none")
		pass(time.Second)
		activities(t, c, "g")
		if got := activities(t, c, "g"); len(got) != 1 || got[0].StatusCode != "PreInService" || got[0].EndTime != nil {
			t.Errorf("a reading from during the launch shows %+v, want it under way", got)
		}
	})
}

func TestSkewedClockShowsInAnswersAndActivities(t *testing.T) {
	for _, ahead := range []time.Duration{0, 3 * time.Hour, -time.Hour} {
		inBubble(t, oneGroup(withDesired(1)), func(t *testing.T, s *Server, c clients) {
			s.SetClockSkew(ahead)
			out, err := c.autoscaling.DescribeScalingActivities(t.Context(), &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: aws.String("g")})
			require.NoError(t, err)
			want := time.Now().Add(ahead).Truncate(time.Second)
			got, ok := awsmiddleware.GetServerTime(out.ResultMetadata)
			assert.Truef(t, ok && got.Sub(want).Abs() <= time.Second, "%v ahead: the answer is of %v, want %v", ahead, got, want)
			for _, act := range out.Activities {
				assert.Truef(t, act.StartTime.Sub(want).Abs() <= time.Second && act.EndTime.Sub(want).Abs() <= time.Second,
					"%v ahead: the activity went from %v to %v, want %v", ahead, act.StartTime, act.EndTime, want)
			}
		})
	}
}
