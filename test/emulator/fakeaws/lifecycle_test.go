package fakeaws

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// API reference, DetachInstances: "After the instances are detached, you can manage them independent of the Auto Scaling group." API
// reference, EnterStandby: "can enter standby as long as the desired capacity […] is equal to or greater than the minimum capacity".
func TestStandbyDoesNotCount(t *testing.T) {
	inBubble(t, oneGroup(withDesired(2), func(g *AutoScalingGroup) { g.Min = 1 }), func(t *testing.T, s *Server, c clients) {
		do(t, s, Deed{Kind: Standby})
		pass(time.Minute)
		statesAre(t, c, "standby", map[string]int{"InService": 1, "Standby": 1})
		do(t, s, Deed{Kind: Standby})
		pass(time.Minute)
		statesAre(t, c, "replaced at the minimum", map[string]int{"InService": 1, "Standby": 2})
		got := *describe(t, c, "g").DesiredCapacity
		assert.Truef(t, got == 1 && count(s, ScaleInKill) == 0, "desired %d, %d killed; want 1 and 0", got, count(s, ScaleInKill))
	})
}

func TestDetachedInstanceLivesOnWithoutItsGroup(t *testing.T) {
	inBubble(t, oneGroup(withDesired(1), func(g *AutoScalingGroup) { g.Min = 1 }), func(t *testing.T, s *Server, c clients) {
		id := *describe(t, c, "g").Instances[0].InstanceId
		do(t, s, Deed{Kind: Detach, Instances: []string{id}})
		pass(time.Minute)
		got := describe(t, c, "g").Instances
		assert.Truef(t, len(got) == 1 && *got[0].InstanceId != id, "instances %v, want another one", got)
		out, err := c.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
		assert.Truef(t, err == nil && out.Reservations[0].Instances[0].State.Name == "running",
			"EC2 has the detached instance as %v (%v), want running", out, err)
		_, err = terminate(t, c, true, &id)
		wantAPIError(t, err, "ValidationError", "Instance Id not found - No managed instance found for instance ID: "+id)
	})
}

// User guide, "Suspend and resume processes".
func TestSuspendedProcessesRest(t *testing.T) {
	inBubble(t, oneGroup(withDesired(2)), func(t *testing.T, s *Server, c clients) {
		suspend := func(names ...string) { require.NoError(t, s.Suspend("g", names...)) }
		resume := func(names ...string) { require.NoError(t, s.Resume("g", names...)) }
		suspend("Terminate")
		setDesired(t, c, "g", 1)
		pass(time.Minute)
		_, err := terminate(t, c, true, describe(t, c, "g").Instances[0].InstanceId)
		wantAPIError(t, err, "ValidationError", "The Terminate process of the AutoScalingGroup is suspended")
		statesAre(t, c, "Terminate suspended: no scale-in", map[string]int{"InService": 2})
		resume("Terminate")
		pass(time.Minute)
		statesAre(t, c, "resumed", map[string]int{"InService": 1})

		suspend("ReplaceUnhealthy")
		id := *describe(t, c, "g").Instances[0].InstanceId
		require.NoError(t, s.Reclaim(id))
		pass(time.Minute)
		if i := describe(t, c, "g").Instances[0]; *i.InstanceId != id || *i.HealthStatus != "Unhealthy" || i.LifecycleState != "InService" {
			t.Errorf("ReplaceUnhealthy suspended: %+v, want the lost instance in its place", i)
		}
		resume()
		pass(time.Minute)
		assert.True(t, *describe(t, c, "g").Instances[0].InstanceId != id, "the lost instance was not replaced once that was resumed")

		suspend() // all of them
		assert.Equal(t, 9, len(describe(t, c, "g").SuspendedProcesses), "processes suspended")
		assert.Error(t, s.Suspend("g", "Sleep"), "a process that does not exist was suspended")
	})
}

func withHook(h LifecycleHook) func(*AutoScalingGroup) {
	return func(g *AutoScalingGroup) { g.LifecycleHooks = append(g.LifecycleHooks, h) }
}

func complete(t *testing.T, c clients, id *string, hook, result string) error {
	_, err := c.autoscaling.CompleteLifecycleAction(t.Context(), &autoscaling.CompleteLifecycleActionInput{
		AutoScalingGroupName: aws.String("g"), InstanceId: id, LifecycleHookName: &hook, LifecycleActionResult: &result,
	})
	return err
}

// statesAre checks the instances of group g by lifecycle state.
func statesAre(t *testing.T, c clients, when string, want map[string]int) {
	assert.Emptyf(t, cmp.Diff(want, states(describe(t, c, "g"))), "%s: instances (-want +got)", when)
}

// User guide: "If the instance is launching, CONTINUE indicates that your actions were successful […] ABANDON indicates that
// your custom actions were unsuccessful, and that the instance can be terminated." It is then replaced.
func TestAbandonedLaunchIsReplaced(t *testing.T) {
	inBubble(t, oneGroup(withHook(LifecycleHook{Name: "up", Transition: "launching"})), func(t *testing.T, s *Server, c clients) {
		setDesired(t, c, "g", 1)
		pass(2 * time.Second)
		id := describe(t, c, "g").Instances[0].InstanceId
		require.NoError(t, complete(t, c, id, "up", "ABANDON"))
		pass(10 * time.Second)
		statesAre(t, c, "after it", map[string]int{"Pending:Wait": 1})
		if got := describe(t, c, "g").Instances[0].InstanceId; *got == *id || count(s, Terminated) != 1 {
			t.Errorf("instance %s is still the one that was abandoned, or %d terminated", *got, count(s, Terminated))
		}
	})
}

// API reference, PutLifecycleHook: HeartbeatTimeout is "the maximum time […] before the lifecycle hook times out", upon which
// DefaultResult applies. RecordLifecycleActionHeartbeat "extends the timeout by the length of time defined".
func TestHookThatTimesOutTakesItsDefaultResult(t *testing.T) {
	for _, tt := range []struct {
		result string
		after  time.Duration // the heartbeat's end, at which the state is wanted
		want   map[string]int
	}{
		{"CONTINUE", 600 * time.Millisecond, map[string]int{"InService": 1}},
		{"", 100 * time.Millisecond, map[string]int{"Terminating": 1}}, // ABANDON is the default
	} {
		t.Run("default "+tt.result, func(t *testing.T) {
			hook := LifecycleHook{Name: "up", Transition: "launching", HeartbeatTimeout: Duration(30 * time.Second), DefaultResult: tt.result}
			inBubble(t, oneGroup(withHook(hook)), func(t *testing.T, s *Server, c clients) {
				setDesired(t, c, "g", 1)
				pass(21500 * time.Millisecond)
				if _, err := c.autoscaling.RecordLifecycleActionHeartbeat(t.Context(), &autoscaling.RecordLifecycleActionHeartbeatInput{
					AutoScalingGroupName: aws.String("g"), LifecycleHookName: aws.String("up"), InstanceId: describe(t, c, "g").Instances[0].InstanceId,
				}); err != nil {
					t.Fatal(err)
				}
				pass(29 * time.Second)
				statesAre(t, c, "before the second half minute is over", map[string]int{"Pending:Wait": 1})
				pass(time.Second + tt.after)
				statesAre(t, c, "after it", tt.want)
			})
		})
	}
}

// API reference, DeleteAutoScalingGroup, ForceDelete: "also deletes any outstanding lifecycle actions associated with the group".
func TestDeletedGroupWaitsForNoHook(t *testing.T) {
	cfg := oneGroup(withDesired(2), withHook(LifecycleHook{Name: "drain", Transition: "terminating"}))
	inBubble(t, cfg, func(t *testing.T, s *Server, c clients) {
		_, err := terminate(t, c, true, describe(t, c, "g").Instances[0].InstanceId)
		require.NoError(t, err)
		require.NoError(t, s.DeleteGroup("g"))
		pass(2 * time.Second)
		_, exists := s.Group("g")
		assert.False(t, exists, "the group is still there")
	})
}
