package fakeaws

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

func TestEachActionHasItsOwnBucket(t *testing.T) {
	cfg := oneGroup()
	cfg.Throttles = []Throttle{{Service: serviceAutoScaling, Action: "Describe*", Burst: 3, PerSecond: 1}, {Service: serviceEC2, Burst: 1, PerSecond: 0.1}}
	inBubble(t, cfg, func(t *testing.T, s *Server, c clients) {
		for range 3 {
			describe(t, c, "g")
		}
		wantAPIError(t, describeAll(t, c), "Throttling", "Rate exceeded")
		activities(t, c, "g")
		setDesired(t, c, "g", 1)
		pass(2 * time.Second)
		for range 2 {
			describe(t, c, "g")
		}
		wantAPIError(t, describeAll(t, c), "Throttling", "Rate exceeded")
		if _, err := c.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{}); err != nil {
			t.Error(err)
		}
		_, err := c.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{})
		wantAPIError(t, err, "RequestLimitExceeded", "Request limit exceeded.")
	})
}

func TestActionsCanShareOneBucket(t *testing.T) {
	cfg := oneGroup()
	cfg.Throttles = []Throttle{{Service: serviceAutoScaling, Shared: true, Burst: 3, PerSecond: 1}}
	inBubble(t, cfg, func(t *testing.T, s *Server, c clients) {
		describe(t, c, "g")
		activities(t, c, "g")
		setDesired(t, c, "g", 1)
		wantAPIError(t, describeAll(t, c), "Throttling", "Rate exceeded")
		pass(time.Second)
		activities(t, c, "g")
		wantAPIError(t, describeAll(t, c), "Throttling", "Rate exceeded")
	})
}

func TestThrottledWriteTakesNoEffect(t *testing.T) {
	cfg := oneGroup()
	cfg.Throttles = []Throttle{{Action: "SetDesiredCapacity", Burst: 1}}
	inBubble(t, cfg, func(t *testing.T, s *Server, c clients) {
		setDesired(t, c, "g", 1)
		_, err := setTo(t, c, 2)
		wantAPIError(t, err, "Throttling", "Rate exceeded")
		if got := *describe(t, c, "g").DesiredCapacity; got != 1 {
			t.Errorf("desired capacity %d, want 1", got)
		}
	})
}

func TestUselessThrottlesAreRefused(t *testing.T) {
	for _, throttle := range []Throttle{{Burst: 0, PerSecond: 1}, {Burst: 1, PerSecond: -1}, {Action: "[", Burst: 1}} {
		if _, err := New(Config{Throttles: []Throttle{throttle}}); err == nil {
			t.Errorf("%+v is accepted", throttle)
		}
	}
}
