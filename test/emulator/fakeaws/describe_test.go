package fakeaws

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"
)

// manyGroups is an account with n groups, every second of which carries a tag.
func manyGroups(n int) Config {
	cfg := oneGroup()
	template := cfg.AutoScalingGroups[0]
	cfg.AutoScalingGroups = nil
	for i := range n {
		g := template
		g.Name = fmt.Sprintf("group-%04d", i)
		g.Tags = map[string]string{"k8s.io/cluster-autoscaler/enabled": "true", "n": fmt.Sprint(i)}
		if i%2 == 0 {
			g.Tags["k8s.io/cluster-autoscaler/even"] = "owned"
		}
		cfg.AutoScalingGroups = append(cfg.AutoScalingGroups, g)
	}
	return cfg
}

func groupNames(groups []types.AutoScalingGroup) []string {
	names := []string{}
	for _, g := range groups {
		names = append(names, aws.ToString(g.AutoScalingGroupName))
	}
	return names
}

func TestGroupsComeInPagesOfAtMostAHundred(t *testing.T) {
	s, c := overHTTP(t, manyGroups(250))
	for _, tt := range []struct {
		records *int32
		want    int // calls
	}{{nil, 5}, {aws.Int32(100), 3}, {aws.Int32(90), 3}} {
		s.ResetCalls()
		var all []types.AutoScalingGroup
		pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(c.autoscaling, &autoscaling.DescribeAutoScalingGroupsInput{MaxRecords: tt.records})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, page.AutoScalingGroups...)
		}
		names := groupNames(all)
		if len(names) != 250 || !slices.IsSorted(names) || len(slices.Compact(names)) != 250 {
			t.Errorf("MaxRecords %v: got %d groups, want 250 different ones in order", tt.records, len(names))
		}
		if got := s.Calls()["DescribeAutoScalingGroups"]; got != tt.want {
			t.Errorf("MaxRecords %v: %d calls, want %d", tt.records, got, tt.want)
		}
	}
}

func TestTagFiltersAllHaveToHold(t *testing.T) {
	filter := func(name string, values ...string) types.Filter {
		return types.Filter{Name: aws.String(name), Values: values}
	}
	_, c := overHTTP(t, manyGroups(6))
	for _, tt := range []struct {
		name    string
		filters []types.Filter
		want    string
	}{
		{"none", nil, "0 1 2 3 4 5"},
		{"a key", []types.Filter{filter("tag-key", "k8s.io/cluster-autoscaler/even")}, "0 2 4"},
		{"two keys", []types.Filter{filter("tag-key", "k8s.io/cluster-autoscaler/even"), filter("tag-key", "n")}, "0 2 4"},
		{"either of two keys", []types.Filter{filter("tag-key", "k8s.io/cluster-autoscaler/even", "n")}, "0 1 2 3 4 5"},
		{"key and value", []types.Filter{filter("tag:n", "3")}, "3"},
		{"key and either value", []types.Filter{filter("tag:n", "3", "5")}, "3 5"},
		{"a value", []types.Filter{filter("tag-value", "owned")}, "0 2 4"},
		{"key of one, value of another", []types.Filter{filter("tag-key", "k8s.io/cluster-autoscaler/even"), filter("tag:n", "3")}, ""},
		{"unknown key", []types.Filter{filter("tag-key", "other")}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := c.autoscaling.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{Filters: tt.filters})
			if err != nil {
				t.Fatal(err)
			}
			got := strings.ReplaceAll(strings.Join(groupNames(out.AutoScalingGroups), " "), "group-000", "")
			if got != tt.want {
				t.Errorf("groups %q, want %q", got, tt.want)
			}
		})
	}
}

func TestDescribeGroupsRefusesLikeAWS(t *testing.T) {
	_, c := overHTTP(t, manyGroups(1))
	names := make([]string, 101)
	for i := range names {
		names[i] = fmt.Sprintf("group-%04d", i)
	}
	for _, tt := range []struct {
		name          string
		input         autoscaling.DescribeAutoScalingGroupsInput
		code, message string
	}{
		{"too long a page", autoscaling.DescribeAutoScalingGroupsInput{MaxRecords: aws.Int32(101)}, "ValidationError",
			"1 validation error detected: Value '101' at 'maxRecords' failed to satisfy constraint: Member must have value less than or equal to 100"},
		{"more than 100 names", autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: names, MaxRecords: aws.Int32(100)}, "ValidationError",
			"The number of AutoScalingGroup names that may be passed in is limited to 100"},
		{"more than 50 names on a page of 50", autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: names[:51]}, "ValidationError",
			"The number of AutoScalingGroup names that may be passed in is limited to 50"},
		{"unknown filter", autoscaling.DescribeAutoScalingGroupsInput{Filters: []types.Filter{{Name: aws.String("name"), Values: []string{"x"}}}}, "ValidationError",
			"Filter type name is not correct. Allowed Filter types are: tag-key tag-value tag:<key>"},
		{"bad token", autoscaling.DescribeAutoScalingGroupsInput{NextToken: aws.String("?")}, "InvalidNextToken", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := c.autoscaling.DescribeAutoScalingGroups(t.Context(), &tt.input)
			wantAPIError(t, err, tt.code, tt.message)
		})
	}
}

func TestNamesThatDoNotExistAreLeftOut(t *testing.T) {
	_, c := overHTTP(t, manyGroups(2))
	out, err := c.autoscaling.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{
		AutoScalingGroupNames: []string{"group-0001", "gone"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"group-0001"}, groupNames(out.AutoScalingGroups)); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

func TestGroupIsDescribedInFull(t *testing.T) {
	cfg, err := LoadConfig("testdata/s0.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, c := overHTTP(t, cfg)
	out, err := c.autoscaling.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{"g4dn-spot", "basic"}})
	if err != nil {
		t.Fatal(err)
	}
	basic, gpu := out.AutoScalingGroups[0], out.AutoScalingGroups[1]
	policy := gpu.MixedInstancesPolicy
	got := map[string]any{
		"arn prefix":  strings.HasPrefix(aws.ToString(gpu.AutoScalingGroupARN), "arn:aws-cn:autoscaling:cn-northwest-1:123456789012:autoScalingGroup:"),
		"sizes":       []int32{*gpu.MinSize, *gpu.MaxSize, *gpu.DesiredCapacity, *basic.MinSize, *basic.MaxSize, *basic.DesiredCapacity},
		"types":       []string{*policy.LaunchTemplate.Overrides[0].InstanceType, *policy.LaunchTemplate.Overrides[1].InstanceType},
		"template":    *policy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateName + " " + *policy.LaunchTemplate.LaunchTemplateSpecification.Version,
		"on-demand":   []int32{*policy.InstancesDistribution.OnDemandBaseCapacity, *policy.InstancesDistribution.OnDemandPercentageAboveBaseCapacity},
		"pools":       *policy.InstancesDistribution.SpotInstancePools,
		"tag":         tagValue(gpu.Tags, "k8s.io/cluster-autoscaler/node-template/taint/dedicated"),
		"zones":       basic.AvailabilityZones,
		"instances":   len(basic.Instances),
		"instance":    []string{string(basic.Instances[0].LifecycleState), *basic.Instances[0].InstanceType, *basic.Instances[0].HealthStatus, *basic.Instances[0].LaunchTemplate.Version},
		"other zone":  *basic.Instances[0].AvailabilityZone != *basic.Instances[1].AvailabilityZone,
		"no template": gpu.LaunchTemplate == nil && basic.MixedInstancesPolicy == nil,
	}
	want := map[string]any{
		"arn prefix":  true,
		"sizes":       []int32{0, 3, 0, 2, 4, 2},
		"types":       []string{"g4dn.xlarge", "g4dn.2xlarge"},
		"template":    "g4dn-spot $Latest",
		"on-demand":   []int32{0, 0},
		"pools":       int32(2),
		"tag":         "nvidia.com/gpu=true",
		"zones":       []string{"cn-northwest-1a", "cn-northwest-1b", "cn-northwest-1c"},
		"instances":   2,
		"instance":    []string{"InService", "m5.large", "Healthy", "1"},
		"other zone":  true,
		"no template": true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

func tagValue(tags []types.TagDescription, key string) string {
	for _, tag := range tags {
		if aws.ToString(tag.Key) == key {
			return aws.ToString(tag.Value)
		}
	}
	return ""
}

func TestStaleReadingsHaveAnyAgeUpToMost(t *testing.T) {
	inBubble(t, oneGroup(), func(t *testing.T, s *Server, c clients) {
		s.SetStaleReads(2 * time.Second)
		pass(10 * time.Second)
		setDesired(t, c, "g", 3)
		seen := map[int32]bool{}
		for range 50 {
			seen[*describe(t, c, "g").DesiredCapacity] = true
			pass(10 * time.Millisecond)
		}
		if len(seen) != 2 || !seen[0] || !seen[3] {
			t.Errorf("half a second after 3 was set, readings were of %v; want 0 and 3, for some are older", seen)
		}
		pass(3 * time.Second)
		for range 50 {
			if g := describe(t, c, "g"); *g.DesiredCapacity != 3 {
				t.Fatal("a reading is older than two seconds")
			}
		}
		setDesired(t, c, "g", 4)
		s.SetStaleReads(0)
		if got := *describe(t, c, "g").DesiredCapacity; got != 4 {
			t.Errorf("desired %d once readings are fresh again, want 4", got)
		}
	})
}

func TestTagsThatAreNotPropagated(t *testing.T) {
	_, c := overHTTP(t, oneGroup(func(g *AutoScalingGroup) {
		g.Desired, g.Tags, g.NotPropagated = 1, map[string]string{"team": "blue", "cost": "low"}, []string{"team"}
	}))
	groups, err := c.autoscaling.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{})
	if err != nil {
		t.Fatal(err)
	}
	propagated := map[string]bool{}
	for _, tag := range groups.AutoScalingGroups[0].Tags {
		propagated[aws.ToString(tag.Key)] = aws.ToBool(tag.PropagateAtLaunch)
	}
	if diff := cmp.Diff(map[string]bool{"team": false, "cost": true}, propagated); diff != "" {
		t.Errorf("propagated tags differ (-want +got):\n%s", diff)
	}
	instances, err := c.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{})
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]bool{}
	for _, tag := range instances.Reservations[0].Instances[0].Tags {
		has[aws.ToString(tag.Key)] = true
	}
	if has["team"] || !has["cost"] {
		t.Errorf("tags of the instance: %v, want cost without team", has)
	}
}
