package asg_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// Bounds on what a write lowers, raises and waits for.

func TestWithdrawalStopsAtMemberWeight(t *testing.T) {
	t.Parallel()
	g := scalingGroup("a", 0, 0, 20)
	g.LaunchTemplate = nil
	g.MixedInstancesPolicy = &fakeaws.MixedInstancesPolicy{LaunchTemplate: fakeaws.LaunchTemplateRef{Name: "workers", Version: "1"},
		Overrides: []fakeaws.Override{{InstanceType: "m5.large", WeightedCapacity: 2}, {InstanceType: "m5.xlarge", WeightedCapacity: 3}}}
	w := newWorld(t, g).started()
	w.calls.between.Store(true)
	w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
	w.increase(3)
	heavy := member("i-1", "InService")
	heavy.WeightedCapacity = aws.String("3")
	w.calls.edit = func(g *types.AutoScalingGroup) { g.Instances = []types.Instance{heavy} }
	if _, _, err := w.cache.Withdraw(t.Context(), "a", 3); err != nil {
		t.Fatal(err)
	}
	w.wantDesired(3)
	for _, e := range w.aws.Events() { // not for a moment either
		if e.Kind == fakeaws.DesiredChanged && e.To < 3 {
			t.Errorf("the desired capacity went from %d to %d, below the weight of the member", e.From, e.To)
		}
	}
}

func TestTerminationRereadsStaleGroup(t *testing.T) {
	t.Parallel()
	w, now := newWorld(t, scalingGroup("a", 0, 1, 10)).timed()
	w.started()
	w.setDesired(2)
	w.eventuallyInService("a", 2)
	state, _ := w.aws.Group("a")
	now.Step(3 * time.Second)
	w.done(w.cache.Terminate(t.Context(), "a", []string{state.Instances[1].ID}))
	w.wantDesired(1)
}

func TestIncreaseKeepsEarlierExcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 3, 10))
	w.calls.edit = func(g *types.AutoScalingGroup) {
		g.Instances = append(g.Instances, member("i-1", "InService"), member("i-2", "InService")) // while AWS moves instances between zones
	}
	w.started().increase(1)
	asg.ReadMoving(w.cache, t.Context())
	w.wantDesired(4)
}

func TestMinimumSizeIsNeverOverdue(t *testing.T) {
	t.Parallel()
	w, now := newWorld(t, scalingGroup("a", 0, 0, 10)).timed()
	w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
	w.started()
	w.must(w.aws.SetLimits("a", 2, 10))
	w.setDesired(3) // one of the three is not the minimum size's
	w.refresh()
	now.Step(6 * time.Minute)
	w.refresh()
	if got := w.group("a").Overdue; got != 1 {
		t.Errorf("%d overdue, want 1", got)
	}
}

// silent is an Auto Scaling that stops answering.
type silent struct {
	asg.AutoScalingAPI
	readings int // that it answers
}

func (s *silent) DescribeAutoScalingGroups(ctx context.Context, _ *autoscaling.DescribeAutoScalingGroupsInput, _ ...func(*autoscaling.Options)) (*autoscaling.DescribeAutoScalingGroupsOutput, error) {
	if s.readings--; s.readings < 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	m := newModelAWS(&scenario{desired: 1, upper: 10})
	return &autoscaling.DescribeAutoScalingGroupsOutput{AutoScalingGroups: m.past}, nil
}

func (s *silent) SetDesiredCapacity(ctx context.Context, _ *autoscaling.SetDesiredCapacityInput, _ ...func(*autoscaling.Options)) (*autoscaling.SetDesiredCapacityOutput, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestUnansweredWriteEndsAtItsDeadline(t *testing.T) {
	for _, tt := range []struct {
		name             string
		readings, writes int
		most             time.Duration
	}{
		{"reading", 1, 1, 30 * time.Second},
		{"lock of the group", 100, 3, 90 * time.Second}, // for the lock and for the write itself
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cache := asg.NewCache(asg.Options{AutoScaling: &silent{readings: tt.readings}, Clock: clock.RealClock{}, LaunchMode: asg.LaunchDesiredCapacity,
					Discovery: ownership.Discovery{Filters: []ownership.TagFilter{{{Key: discoveryTag}}}}})
				if err := cache.Refresh(t.Context()); err != nil {
					t.Fatal(err)
				}
				for at := range tt.writes {
					go func() {
						time.Sleep(time.Duration(at) * time.Second)
						began := time.Now()
						_, err := cache.Increase(t.Context(), "a", 1)
						if took := time.Since(began); err == nil || took > tt.most {
							t.Errorf("the write took %s and ended with %v, want an error within %s", took, err, tt.most)
						}
					}()
				}
				time.Sleep(5 * time.Minute)
			})
		})
	}
}
