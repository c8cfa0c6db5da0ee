package fakeaws

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func setDesired(t *testing.T, c clients, group string, desired int32) {
	t.Helper()
	if _, err := c.autoscaling.SetDesiredCapacity(t.Context(), &autoscaling.SetDesiredCapacityInput{
		AutoScalingGroupName: &group, DesiredCapacity: &desired,
	}); err != nil {
		t.Fatal(err)
	}
}

func describe(t *testing.T, c clients, group string) types.AutoScalingGroup {
	out, err := c.autoscaling.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{group}})
	require.NoError(t, err)
	require.Lenf(t, out.AutoScalingGroups, 1, "groups are called %q", group)
	return out.AutoScalingGroups[0]
}

func activities(t *testing.T, c clients, group string) []types.Activity {
	out, err := c.autoscaling.DescribeScalingActivities(t.Context(), &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: &group})
	require.NoError(t, err)
	return out.Activities
}

// states counts the instances of a group by lifecycle state.
func states(g types.AutoScalingGroup) map[string]int {
	out := map[string]int{}
	for _, i := range g.Instances {
		out[string(i.LifecycleState)]++
	}
	return out
}

// count is the number of events of a kind.
func count(s *Server, kind EventKind) int {
	n := 0
	for _, e := range s.Events() {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

func TestInstancesAreLaunchedInSteps(t *testing.T) {
	inBubble(t, oneGroup(), func(t *testing.T, s *Server, c clients) {
		setDesired(t, c, "g", 3)
		for _, step := range []struct {
			after time.Duration
			want  map[string]int
		}{
			{300 * time.Millisecond, map[string]int{}},
			{300 * time.Millisecond, map[string]int{"Pending": 3}},
			{time.Second, map[string]int{"InService": 3}},
		} {
			pass(step.after)
			assert.Empty(t, cmp.Diff(step.want, states(describe(t, c, "g"))), "instances (-want +got)")
		}
		zones := map[string]int{}
		for _, i := range describe(t, c, "g").Instances {
			zones[*i.AvailabilityZone]++
		}
		assert.Empty(t, cmp.Diff(map[string]int{"us-west-2a": 1, "us-west-2b": 1, "us-west-2c": 1}, zones), "zones (-want +got)")
		for _, act := range activities(t, c, "g") {
			if act.StatusCode != types.ScalingActivityStatusCodeSuccessful || act.EndTime == nil ||
				!strings.HasPrefix(*act.Description, "Launching a new EC2 instance: i-0") ||
				!strings.Contains(*act.Cause, "changing the desired capacity from 0 to 3") {
				t.Errorf("activity %s %q, cause %q", act.StatusCode, *act.Description, *act.Cause)
			}
		}
		changed := s.Events()[0]
		assert.Truef(t, changed.Kind == DesiredChanged && changed.From == 0 && changed.To == 3 && changed.By == "SetDesiredCapacity AKIATEST",
			"first event = %v, want the change of desired capacity", changed)
	})
}

// capacityTypes counts the instances that a group has, by capacity type.
func capacityTypes(s *Server, group string) map[string]int {
	out := map[string]int{}
	g, _ := s.Group(group)
	for _, i := range g.Instances {
		out[i.CapacityType]++
	}
	return out
}

// kinds counts the instances of a group by type.
func kinds(s *Server, group string) map[string]int {
	out := map[string]int{}
	g, _ := s.Group(group)
	for _, i := range g.Instances {
		out[i.InstanceType]++
	}
	return out
}

// mixed gives the group a mixed instances policy of m5.large and m5.xlarge.
func mixed(d Distribution, weights ...int) func(*AutoScalingGroup) {
	return func(g *AutoScalingGroup) {
		p := &MixedInstancesPolicy{
			LaunchTemplate: *g.LaunchTemplate, Distribution: d,
			Overrides: []Override{{InstanceType: "m5.large"}, {InstanceType: "m5.xlarge"}},
		}
		for i, w := range weights {
			p.Overrides[i].WeightedCapacity = w
		}
		g.LaunchTemplate, g.MixedInstancesPolicy = nil, p
	}
}

func TestOnDemandBaseComesBeforePercentage(t *testing.T) {
	for _, tt := range []struct {
		base, percentage, desired int
		want                      map[string]int
	}{
		{0, 0, 3, map[string]int{spot: 3}},
		{2, 0, 8, map[string]int{onDemand: 2, spot: 6}},
		{2, 0, 1, map[string]int{onDemand: 1}},
		{0, 50, 5, map[string]int{onDemand: 3, spot: 2}},
		{1, 25, 5, map[string]int{onDemand: 2, spot: 3}},
		{0, 100, 2, map[string]int{onDemand: 2}},
	} {
		t.Run(fmt.Sprintf("base %d, %d %%, desired %d", tt.base, tt.percentage, tt.desired), func(t *testing.T) {
			d := Distribution{OnDemandBaseCapacity: tt.base, OnDemandPercentageAboveBaseCapacity: &tt.percentage}
			inBubble(t, oneGroup(mixed(d)), func(t *testing.T, s *Server, c clients) {
				setDesired(t, c, "g", int32(tt.desired))
				pass(time.Second)
				assert.Empty(t, cmp.Diff(tt.want, capacityTypes(s, "g")), "capacity types (-want +got)")
			})
		})
	}
}

func TestFirstTypeWinsUnlessSpotIsSpread(t *testing.T) {
	none := 0
	d := Distribution{OnDemandPercentageAboveBaseCapacity: &none, SpotInstancePools: 2}
	for _, tt := range []struct {
		diversify bool
		want      map[string]int
	}{
		{false, map[string]int{"m5.large": 4}},
		{true, map[string]int{"m5.large": 2, "m5.xlarge": 2}},
	} {
		cfg := oneGroup(mixed(d), func(g *AutoScalingGroup) { g.Zones = g.Zones[:1] })
		cfg.DiversifySpot = tt.diversify
		inBubble(t, cfg, func(t *testing.T, s *Server, c clients) {
			setDesired(t, c, "g", 4)
			pass(time.Second)
			assert.Emptyf(t, cmp.Diff(tt.want, kinds(s, "g")), "diversify %v: types (-want +got)", tt.diversify)
		})
	}
}

func TestWeightsFillDesiredCapacity(t *testing.T) {
	cfg := oneGroup(mixed(Distribution{}, 2, 4))
	inBubble(t, cfg, func(t *testing.T, s *Server, c clients) {
		setDesired(t, c, "g", 5)
		pass(2 * time.Second)
		g := describe(t, c, "g")
		require.Truef(t, len(g.Instances) == 3 && *g.Instances[0].WeightedCapacity == "2",
			"%d instances, the first of weight %v; want 3 of weight 2", len(g.Instances), g.Instances[0].WeightedCapacity)
		if _, err := c.autoscaling.TerminateInstanceInAutoScalingGroup(t.Context(), &autoscaling.TerminateInstanceInAutoScalingGroupInput{
			InstanceId: g.Instances[0].InstanceId, ShouldDecrementDesiredCapacity: aws.Bool(true),
		}); err != nil {
			t.Fatal(err)
		}
		assert.EqualValues(t, 3, *describe(t, c, "g").DesiredCapacity, "desired capacity after an instance of weight 2 left")
	})
}

func TestRequirementsSelectTypes(t *testing.T) {
	four, eight := 4, 8192
	cfg := oneGroup(func(g *AutoScalingGroup) {
		g.MixedInstancesPolicy = &MixedInstancesPolicy{LaunchTemplate: *g.LaunchTemplate, Overrides: []Override{{Requirements: &InstanceRequirements{
			VCPUs: Range{2, &four}, MemoryMiB: Range{8192, &eight}, AllowedInstanceTypes: []string{"m5.*"},
		}}}}
		g.LaunchTemplate = nil
	})
	inBubble(t, cfg, func(t *testing.T, s *Server, c clients) {
		setDesired(t, c, "g", 1)
		pass(time.Second)
		assert.Empty(t, cmp.Diff(map[string]int{"m5.large": 1}, kinds(s, "g")), "types (-want +got)")
		r := describe(t, c, "g").MixedInstancesPolicy.LaunchTemplate.Overrides[0].InstanceRequirements
		assert.Truef(t, *r.VCpuCount.Max == 4 && *r.MemoryMiB.Min == 8192 && r.AllowedInstanceTypes[0] == "m5.*", "requirements = %+v", r)
	})
}

func TestLaunchAvoidsZoneWithoutCapacity(t *testing.T) {
	inBubble(t, oneGroup(), func(t *testing.T, s *Server, c clients) {
		s.AddShortage(Shortage{InstanceType: "m5.large", Zone: "us-west-2a"})
		setDesired(t, c, "g", 3)
		pass(2 * time.Second)
		g, _ := s.Group("g")
		for _, i := range g.Instances {
			assert.Truef(t, i.Zone != "us-west-2a", "%s was launched in a zone without capacity", i.ID)
		}
		assert.Len(t, g.Instances, 3, "instances")
		var failed []string
		for _, act := range activities(t, c, "g") {
			if act.StatusCode == types.ScalingActivityStatusCodeFailed {
				failed = append(failed, *act.StatusMessage)
			}
		}
		want := []string{"We currently do not have sufficient m5.large capacity in the Availability Zone you requested (us-west-2a). " +
			"Our system will be working on provisioning additional capacity. You can currently get m5.large capacity by not specifying an " +
			"Availability Zone in your request or choosing us-west-2b, us-west-2c. Launching EC2 instance failed."}
		assert.Empty(t, cmp.Diff(want, failed), "failures (-want +got)")
	})
}

func TestLaunchesAreRetriedUntilThereIsCapacity(t *testing.T) {
	none := 0
	cfg := oneGroup(mixed(Distribution{OnDemandPercentageAboveBaseCapacity: &none}))
	inBubble(t, cfg, func(t *testing.T, s *Server, c clients) {
		s.AddShortage(Shortage{CapacityType: spot, Available: 2})
		setDesired(t, c, "g", 5)
		pass(9 * time.Second)
		require.Empty(t, cmp.Diff(map[string]int{spot: 2}, capacityTypes(s, "g")), "instances (-want +got)")
		got := activities(t, c, "g")[0]
		want := "Could not launch Spot Instances. InsufficientInstanceCapacity - There is no Spot capacity available that matches your request. Launching EC2 instance failed."
		assert.Truef(t, got.StatusCode == types.ScalingActivityStatusCodeFailed && *got.StatusMessage == want,
			"newest activity %s %q, want Failed %q", got.StatusCode, *got.StatusMessage, want)
		s.ClearShortages()
		pass(5 * time.Second)
		assert.Empty(t, cmp.Diff(map[string]int{spot: 5}, capacityTypes(s, "g")), "instances once there is capacity (-want +got)")
	})
}

func TestRaiseIsTriedAtOnceAfterFailure(t *testing.T) {
	inBubble(t, oneGroup(), func(t *testing.T, s *Server, c clients) {
		id := s.AddShortage(Shortage{})
		setDesired(t, c, "g", 1)
		pass(3 * time.Second)
		s.ClearShortages(id)
		setDesired(t, c, "g", 2)
		pass(600 * time.Millisecond)
		assert.Equal(t, 2, len(describe(t, c, "g").Instances), "instances")
	})
}

func TestFailedLaunchesAppearInActivities(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"template deleted", func(c *Config) {
			c.LaunchTemplates = nil
			c.AutoScalingGroups[0].LaunchTemplate = &LaunchTemplateRef{ID: "lt-1"}
		},
			"The specified launch template, with template ID lt-1, does not exist. Launching EC2 instance failed."},
		{"unknown type", func(c *Config) {
			c.LaunchTemplates[0].Versions[0].InstanceType = "m5.huge"
			c.AutoScalingGroups[0].Zones = []string{"us-west-2a"}
		},
			"Your requested instance type (m5.huge) is not supported in your requested Availability Zone (us-west-2a). Launching EC2 instance failed."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := oneGroup()
			tt.change(&cfg)
			inBubble(t, cfg, func(t *testing.T, s *Server, c clients) {
				setDesired(t, c, "g", 1)
				pass(time.Second)
				assert.Equal(t, tt.want, aws.ToString(activities(t, c, "g")[0].StatusMessage), "status message")
			})
		})
	}
}

// API reference, DescribeScalingActivities: "Activities are sorted by start time. Activities still in progress are described first."
func TestActivitiesInProgressComeFirst(t *testing.T) {
	inBubble(t, oneGroup(withHook(LifecycleHook{Name: "up", Transition: "launching"})), func(t *testing.T, s *Server, c clients) {
		name := map[string]string{} // by instance
		for n, launch := range []string{"first", "second", "third", "fourth"} {
			setDesired(t, c, "g", int32(n)+1)
			pass(time.Minute)
			for _, i := range describe(t, c, "g").Instances {
				if name[*i.InstanceId] != "" {
					continue
				}
				name[*i.InstanceId] = launch
				if n%2 == 0 {
					continue
				}
				require.NoError(t, complete(t, c, i.InstanceId, "up", "CONTINUE"))
			}
		}
		pass(time.Minute)
		var order []string
		pages := autoscaling.NewDescribeScalingActivitiesPaginator(c.autoscaling, &autoscaling.DescribeScalingActivitiesInput{
			AutoScalingGroupName: aws.String("g"), MaxRecords: aws.Int32(1)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			require.NoError(t, err)
			for _, act := range page.Activities {
				order = append(order, name[strings.TrimPrefix(*act.Description, "Launching a new EC2 instance: ")])
			}
		}
		assert.Empty(t, cmp.Diff([]string{"third", "first", "fourth", "second"}, order), "launches, of which the second and the fourth are over (-want +got)")
	})
}

func TestLoweringDesiredCapacityCallsNoLaunchBack(t *testing.T) {
	inBubble(t, oneGroup(), func(t *testing.T, s *Server, c clients) {
		setDesired(t, c, "g", 5)
		setDesired(t, c, "g", 2)
		pass(time.Minute)
		if got := states(describe(t, c, "g")); !maps.Equal(got, map[string]int{"InService": 2}) || count(s, Launched) != 5 || count(s, ScaleInKill) != 3 {
			t.Errorf("instances %v, %d launched, %d killed; want 2 of 5, and 3 killed", got, count(s, Launched), count(s, ScaleInKill))
		}
	})
}

func TestRequestedInstancesAreLaunchesInProgress(t *testing.T) {
	inBubble(t, oneGroup(), func(t *testing.T, s *Server, c clients) {
		setDesired(t, c, "g", 2)
		for _, tt := range []struct {
			after time.Duration
			want  []string
		}{
			{after: 100 * time.Millisecond, want: []string{"WaitingForInstanceId Launching a new EC2 instance", "WaitingForInstanceId Launching a new EC2 instance"}},
			{after: time.Second, want: []string{"PreInService Launching a new EC2 instance: ", "PreInService Launching a new EC2 instance: "}},
		} {
			pass(tt.after)
			var got []string
			for _, act := range activities(t, c, "g") {
				about, _, _ := strings.Cut(*act.Description, "i-0")
				got = append(got, string(act.StatusCode)+" "+about)
				assert.Nilf(t, act.EndTime, "%s has ended", *act.Description)
			}
			assert.Emptyf(t, cmp.Diff(tt.want, got), "activities after %s (-want +got)", tt.after)
		}
	})
}
