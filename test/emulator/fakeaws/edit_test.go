package fakeaws

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEditChangesOnlyNamedFields(t *testing.T) {
	inBubble(t, oneGroup(withDesired(3), func(g *AutoScalingGroup) { g.Tags = map[string]string{"team": "blue", "old": "x"} }), func(t *testing.T, s *Server, c clients) {
		before := describe(t, c, "g")
		require.NoError(t, s.EditGroup("g", GroupEdit{Tags: map[string]*string{"zonal": aws.String("true"), "old": nil}}))
		g, _ := s.Group("g")
		assert.Empty(t, cmp.Diff(map[string]string{"team": "blue", "zonal": "true"}, g.Tags), "tags (-want +got)")
		if err := s.EditGroup("g", GroupEdit{Max: aws.Int(2), Zones: []string{"us-west-2a"},
			MixedInstancesPolicy: &MixedInstancesPolicy{LaunchTemplate: LaunchTemplateRef{Name: "t"}, Distribution: Distribution{OnDemandPercentageAboveBaseCapacity: aws.Int(50)}}}); err != nil {
			t.Fatal(err)
		}
		after := describe(t, c, "g")
		if *after.MinSize != *before.MinSize || *after.MaxSize != 2 || *after.DesiredCapacity != 2 || len(after.AvailabilityZones) != 1 {
			t.Errorf("min %d, max %d, desired %d, zones %v; want 0, 2, 2 and one", *after.MinSize, *after.MaxSize, *after.DesiredCapacity, after.AvailabilityZones)
		}
		assert.Truef(t, before.LaunchTemplate != nil && after.LaunchTemplate == nil && after.MixedInstancesPolicy != nil,
			"launch template %v, policy %v; want the policy in its place", after.LaunchTemplate, after.MixedInstancesPolicy)
		_, err := launch(t.Context(), c, "token", 1, inZoneA)
		wantAPIError(t, err, "ValidationError", "LaunchInstances is not supported for a mixed instances policy that combines On-Demand and Spot Instances")
	})
}

func TestInvalidEditChangesNothing(t *testing.T) {
	s, _ := overHTTP(t, oneGroup(withDesired(1)))
	before, _ := s.Group("g")
	template := &LaunchTemplateRef{Name: "t"}
	for _, tt := range []struct {
		name, group, want string
		edit              GroupEdit
	}{
		{"limits", "g", "min 9 ≤ desired 9 ≤ max 3 does not hold", GroupEdit{Min: aws.Int(9), Max: aws.Int(3), Desired: aws.Int(9), Tags: map[string]*string{"a": aws.String("b")}}},
		{"two sources", "g", "give one of", GroupEdit{LaunchTemplate: template, MixedInstancesPolicy: &MixedInstancesPolicy{LaunchTemplate: *template}, Zones: []string{"us-west-2z"}}},
		{"no group", "h", `no auto scaling group "h"`, GroupEdit{Max: aws.Int(3)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.ErrorContains(t, s.EditGroup(tt.group, tt.edit), tt.want, "error")
			after, _ := s.Group("g")
			assert.Truef(t, cmp.Diff(before, after) == "", "the group changed (-before +after):\n%s", cmp.Diff(before, after))
		})
	}
	require.NoError(t, s.DeleteGroup("g"))
	assert.ErrorContains(t, s.EditGroup("g", GroupEdit{Max: aws.Int(3)}), "pending delete", "while the group is deleted: error")
}

func TestConfigErrorsNameTheirObject(t *testing.T) {
	for _, tt := range []struct{ name, config, want string }{
		{"unknown field", "autoScalingGroups: [{name: a, minimum: 1}]", `unknown field "minimum"`},
		{"number for a duration", "latency: 5", `write it as a string such as "1.5s"`},
		{"duration without unit", "latency: '5'", `duration "5": write it as a number with a unit`},
		{"no zones", "autoScalingGroups: [{name: a, launchTemplate: {name: t}}]", `auto scaling group "a": no zones`},
		{"no source", "autoScalingGroups: [{name: a, zones: [z]}]", `auto scaling group "a": give one of launchTemplate`},
		{"sizes", "autoScalingGroups: [{name: a, zones: [z], launchTemplate: {name: t}, min: 2}]", `auto scaling group "a": min 2`},
		{"twice", "launchTemplates: [{name: t, versions: [{}]}, {name: t, versions: [{}]}]", `launch template "t": declared twice`},
		{"taint", "autoScalingGroups: [{name: a, zones: [z], launchTemplate: {name: t}, nodeTaints: [gpu=true]}]", `taint "gpu=true"`},
		{"type", "instanceTypes: [{name: x1.tiny}]", `instance type "x1.tiny": name, vcpu and memoryMiB are needed`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg, err := ParseConfig([]byte(tt.config))
			if err == nil {
				_, err = New(cfg)
			}
			assert.Truef(t, err != nil && strings.Contains(err.Error(), tt.want), "error = %v, want one with %q", err, tt.want)
		})
	}
}

func TestDurationsReadAsTheyAreWritten(t *testing.T) {
	for _, d := range []Duration{Never, 0, Duration(1500 * time.Millisecond), Duration(time.Hour)} {
		text, err := json.Marshal(d)
		require.NoError(t, err)
		var back Duration
		err = json.Unmarshal(text, &back)
		assert.Truef(t, err == nil && back == d, "%s reads as %v, %v; want %v", text, back, err, d)
	}
}
