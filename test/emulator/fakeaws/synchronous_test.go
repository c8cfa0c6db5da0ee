package fakeaws

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// launch calls LaunchInstances for group g with a token, after the changes.
func launch(ctx context.Context, c clients, token string, capacity int32, change ...func(*autoscaling.LaunchInstancesInput)) (*autoscaling.LaunchInstancesOutput, error) {
	in := &autoscaling.LaunchInstancesInput{
		AutoScalingGroupName: aws.String("g"), ClientToken: &token, RequestedCapacity: &capacity, AvailabilityZones: []string{"us-west-2b"},
	}
	for _, f := range change {
		f(in)
	}
	return c.autoscaling.LaunchInstances(ctx, in)
}

var sameLaunch = cmpopts.IgnoreUnexported(autoscaling.LaunchInstancesOutput{}, types.InstanceCollection{}, types.LaunchInstancesError{})

// API reference, LaunchInstances: Errors are "details about failed instance launches with their corresponding error codes and
// messages", beside the Instances that could be launched. RetryStrategy none asks for no more.
func TestPartialLaunchReportsEveryPool(t *testing.T) {
	none := 0
	inBubble(t, oneGroup(mixed(Distribution{OnDemandPercentageAboveBaseCapacity: &none})), func(t *testing.T, s *Server, c clients) {
		s.AddShortage(Shortage{InstanceType: "m5.large", Available: 1})
		s.AddShortage(Shortage{InstanceType: "m5.xlarge", Code: "UnfulfillableCapacity"})
		out, err := launch(t.Context(), c, "token", 3)
		require.NoError(t, err)
		var errors []string
		for _, e := range out.Errors {
			errors = append(errors, *e.ErrorCode+" "+*e.InstanceType+" "+*e.MarketType+" "+*e.AvailabilityZone)
		}
		want := []string{"InsufficientInstanceCapacity m5.large Spot us-west-2b", "UnfulfillableCapacity m5.xlarge Spot us-west-2b"}
		if diff := cmp.Diff(want, errors); diff != "" || len(out.Instances) != 1 || len(out.Instances[0].InstanceIds) != 1 {
			t.Errorf("instances %v, errors (-want +got):\n%s", out.Instances, diff)
		}
		pass(time.Minute)
		if g := describe(t, c, "g"); *g.DesiredCapacity != 1 || len(g.Instances) != 1 {
			t.Errorf("desired %d with %d instances, want 1 and 1", *g.DesiredCapacity, len(g.Instances))
		}
	})
}

// API reference, ClientToken: "A unique, case-sensitive identifier to ensure idempotency of the request." Its errors:
// IdempotentCallInProgress, IdempotentParameterMismatch "within the idempotency window".
func TestTokenLaunchesOnce(t *testing.T) {
	inBubble(t, oneGroup(), func(t *testing.T, s *Server, c clients) {
		var first *autoscaling.LaunchInstancesOutput
		var err error
		var calls sync.WaitGroup
		calls.Go(func() { first, err = launch(t.Context(), c, "token", 2) })
		pass(100 * time.Millisecond)
		_, during := launch(t.Context(), c, "token", 2)
		wantAPIError(t, during, "IdempotentCallInProgress", "")
		_, other := launch(t.Context(), c, "token", 1)
		wantAPIError(t, other, "IdempotentParameterMismatch", "")
		calls.Wait()
		require.NoError(t, err)
		pass(9 * time.Minute)
		again, err := launch(t.Context(), c, "token", 2)
		require.NoError(t, err)
		assert.Empty(t, cmp.Diff(first, again, sameLaunch, cmpopts.IgnoreFields(autoscaling.LaunchInstancesOutput{}, "ResultMetadata")),
			"repeated (-want +got)")
		_, err = launch(t.Context(), c, "TOKEN", 1)
		assert.NoError(t, err, "another token")
		assert.Equal(t, 3, count(s, Launched), "launched, want 2 by the first token and 1 by the other")
	})
}

// The API reference does not say that Errors name every pool.
func TestUnnamedPoolIsNotInTheAnswer(t *testing.T) {
	inBubble(t, oneGroup(mixed(Distribution{})), func(t *testing.T, s *Server, c clients) {
		s.AddShortage(Shortage{InstanceType: "m5.large"})
		s.AddShortage(Shortage{InstanceType: "m5.xlarge", Unnamed: true})
		out, err := launch(t.Context(), c, "token", 1)
		require.NoError(t, err)
		require.Len(t, out.Errors, 1)
		assert.Equal(t, "m5.large", *out.Errors[0].InstanceType)
		assert.Empty(t, out.Instances)
	})
}

// The API takes one zone a call (AvailabilityZones, AvailabilityZoneIds and SubnetIds have at most one member).
func TestLaunchZoneIsNamedInThreeWays(t *testing.T) {
	id, subnet := zoneID("us-west-2", "us-west-2c"), subnetID("us-west-2c")
	for _, tt := range []struct {
		name              string
		zones, ids, subs  []string
		refused, launched string
	}{
		{name: "none of three", refused: "You must specify an Availability Zone or a subnet to launch instances in an AutoScalingGroup with multiple Availability Zones"},
		{name: "zone", zones: []string{"us-west-2c"}, launched: "us-west-2c"},
		{name: "zone ID", ids: []string{id}, launched: "us-west-2c"},
		{name: "subnet", subs: []string{subnet}, launched: "us-west-2c"},
		{name: "zone and its subnet", zones: []string{"us-west-2c"}, subs: []string{subnet}, launched: "us-west-2c"},
		{name: "zone and ID", zones: []string{"us-west-2c"}, ids: []string{id}, refused: "You cannot specify both AvailabilityZones and AvailabilityZoneIds"},
		{name: "zone and another's subnet", zones: []string{"us-west-2a"}, subs: []string{subnet},
			refused: "The Availability Zone or subnet us-west-2a is not in the configuration of the AutoScalingGroup"},
		{name: "foreign zone", zones: []string{"us-west-2d"}, refused: "The Availability Zone or subnet us-west-2d is not in the configuration of the AutoScalingGroup"},
		{name: "two zones", zones: []string{"us-west-2a", "us-west-2b"},
			refused: "1 validation error detected: Value at 'availabilityZones' failed to satisfy constraint: Member must have length less than or equal to 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, oneGroup(), func(t *testing.T, s *Server, c clients) {
				out, err := launch(t.Context(), c, "token", 1, func(in *autoscaling.LaunchInstancesInput) {
					in.AvailabilityZones, in.AvailabilityZoneIds, in.SubnetIds = tt.zones, tt.ids, tt.subs
				})
				if tt.refused != "" {
					wantAPIError(t, err, "ValidationError", tt.refused)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, tt.launched, aws.ToString(out.Instances[0].AvailabilityZone), "launched in")
			})
		})
	}
}

// User guide, "Launch instances synchronously": launch templates only, and wholly On-Demand or wholly Spot policies only. API
// reference: at most 100 instances a call, though the capacity may be higher with weights.
func TestImpossibleLaunchIsRefused(t *testing.T) {
	half, none := 50, 0
	for _, tt := range []struct {
		name     string
		capacity int32
		change   func(*Config)
		refused  string // start of the message, empty if the launch is right
	}{
		{"nothing asked for", 0, func(*Config) {}, "1 validation error detected: Value '0' at 'requestedCapacity' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"above max", 11, func(*Config) {}, "Launching 11 of capacity would bring the desired capacity to 11, above max value 10 for the AutoScalingGroup."},
		{"101 instances", 101, func(c *Config) { c.AutoScalingGroups[0].Max = 500 },
			"The requested capacity of 101 needs 101 instances. At most 100 can be launched in one call."},
		{"launch configuration", 1, func(c *Config) {
			c.LaunchConfigurations = []LaunchConfiguration{{Name: "lc", InstanceType: "m5.large"}}
			c.AutoScalingGroups[0].LaunchTemplate, c.AutoScalingGroups[0].LaunchConfiguration = nil, "lc"
		}, "LaunchInstances is not supported for an AutoScalingGroup with a launch configuration. Use a launch template."},
		{"half spot", 1, func(c *Config) {
			mixed(Distribution{OnDemandPercentageAboveBaseCapacity: &half})(&c.AutoScalingGroups[0])
		}, "LaunchInstances is not supported for a mixed instances policy that combines On-Demand and Spot Instances"},
		{"spot above a base", 1, func(c *Config) {
			mixed(Distribution{OnDemandBaseCapacity: 1, OnDemandPercentageAboveBaseCapacity: &none})(&c.AutoScalingGroups[0])
		}, "LaunchInstances is not supported for a mixed instances policy that combines On-Demand and Spot Instances"},
		{"all on-demand", 1, func(c *Config) { mixed(Distribution{OnDemandBaseCapacity: 1})(&c.AutoScalingGroups[0]) }, ""},
		{"suspended", 1, func(c *Config) { c.AutoScalingGroups[0].SuspendedProcesses = []string{"Launch"} },
			"The Launch process of the AutoScalingGroup is suspended"},
		{"warm pool", 1, func(c *Config) { c.AutoScalingGroups[0].WarmPool = &WarmPool{Min: 1} },
			"LaunchInstances is not supported for an AutoScalingGroup with a warm pool"},
		{"template deleted", 1, func(c *Config) { c.LaunchTemplates = nil },
			"You must use a valid fully-formed launch template. The specified launch template, with template name t, does not exist."},
		{"150 of capacity in 75 instances", 150, func(c *Config) {
			c.AutoScalingGroups[0].Max = 500
			mixed(Distribution{})(&c.AutoScalingGroups[0])
			c.AutoScalingGroups[0].MixedInstancesPolicy.Overrides = []Override{{InstanceType: "m5.large", WeightedCapacity: 2}}
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := oneGroup()
			tt.change(&cfg)
			inBubble(t, cfg, func(t *testing.T, s *Server, c clients) {
				_, err := launch(t.Context(), c, "token", tt.capacity)
				if tt.refused == "" {
					assert.NoError(t, err)
					return
				}
				code := "ValidationError"
				if tt.name == "warm pool" {
					code = "UnsupportedOperation"
				}
				wantAPIError(t, err, code, tt.refused)
				if tt.name == "suspended" { // and the token is as good as new
					require.NoError(t, s.Resume("g", "Launch"))
					if _, err := launch(t.Context(), c, "token", tt.capacity); err != nil {
						t.Errorf("the same call once it is possible: %v", err)
					}
				}
			})
		})
	}
}

func TestLaunchesAtOnceStayBelowTheMaximumTogether(t *testing.T) {
	inBubble(t, oneGroup(), func(t *testing.T, s *Server, c clients) {
		var calls sync.WaitGroup
		calls.Go(func() {
			_, err := launch(t.Context(), c, "a", 6)
			assert.NoError(t, err)
		})
		pass(100 * time.Millisecond)
		_, err := launch(t.Context(), c, "b", 6)
		wantAPIError(t, err, "ValidationError", "")
		calls.Wait()
	})
}

// A launch goes on though the caller hangs up, over a real connection.
func TestHangupStopsNoLaunch(t *testing.T) {
	s, c := overHTTP(t, oneGroup())
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := launch(ctx, c, "token", 1)
	require.Error(t, err, "the call was answered in 0.3 s")
	g, _ := s.Group("g")
	assert.Empty(t, g.Instances, "launched before EC2 had answered")
	awaitEvent(t, s, Launched, "g")
}

func TestFaultsOfALaunch(t *testing.T) {
	inBubble(t, oneGroup(), func(t *testing.T, s *Server, c clients) {
		s.Inject(Fault{Action: "LaunchInstances", Group: "g", Code: "Throttling", Times: 1})
		_, err := launch(t.Context(), c, "token", 1)
		wantAPIError(t, err, "Throttling", "Rate exceeded")
		s.Inject(Fault{Action: "LaunchInstances", Code: "InternalFailure", Late: true, Times: 1})
		_, err = launch(t.Context(), c, "late", 1)
		wantAPIError(t, err, "InternalFailure", "")
		id := s.Deny("LaunchInstances")
		_, err = launch(t.Context(), c, "token", 1)
		wantAPIError(t, err, "AccessDenied", "")
		s.ClearFaults(id)
		s.Inject(Fault{Action: "LaunchInstances", Latency: Duration(5 * time.Second), Times: 1})
		began := time.Now()
		_, err = launch(t.Context(), c, "token", 1)
		assert.Truef(t, err == nil && time.Since(began) == 5505*time.Millisecond, "took %v (%v), want 5 s on top", time.Since(began), err)
		assert.Equal(t, 2, len(describe(t, c, "g").Instances), "instances, want one of the late failure and one of the success")
	})
}

func TestOldPartitionLacksNewActions(t *testing.T) {
	cfg := oneGroup()
	cfg.Lacks.Actions = []string{"LaunchInstances"}
	inBubble(t, cfg, func(t *testing.T, s *Server, c clients) {
		_, err := launch(t.Context(), c, "token", 1)
		wantAPIError(t, err, "InvalidAction", "Could not find operation LaunchInstances for version 2011-01-01")
	})
}
