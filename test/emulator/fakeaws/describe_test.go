package fakeaws

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
		assert.Truef(t, len(seen) == 2 && seen[0] && seen[3],
			"half a second after 3 was set, readings were of %v; want 0 and 3, for some are older", seen)
		pass(3 * time.Second)
		for range 50 {
			require.True(t, *describe(t, c, "g").DesiredCapacity == 3, "a reading is older than two seconds")
		}
		setDesired(t, c, "g", 4)
		s.SetStaleReads(0)
		assert.EqualValues(t, 4, *describe(t, c, "g").DesiredCapacity, "desired once readings are fresh again")
	})
}
