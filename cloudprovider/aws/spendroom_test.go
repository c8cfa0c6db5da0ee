package aws_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestRoomUnderSpendCaps(t *testing.T) {
	labelled := func(tags map[string]string) map[string]string {
		all := map[string]string{template + "label/team": "web"}
		maps.Copy(all, tags)
		return all
	}
	cap := func(amount string) map[string]string { return map[string]string{group.TagSpendCap: amount} }
	mixed := awsworld.Group("web", "m5.large", 0, 0, 10, nil)
	mixed.LaunchTemplate = nil
	mixed.MixedInstancesPolicy = &fakeaws.MixedInstancesPolicy{LaunchTemplate: fakeaws.LaunchTemplateRef{Name: "m5.large"},
		Overrides:    []fakeaws.Override{{InstanceType: "m5.large"}},
		Distribution: fakeaws.Distribution{OnDemandBaseCapacity: 1, OnDemandPercentageAboveBaseCapacity: new(int)}}
	half := awsworld.Group("web", "m5.large", 0, 1, 10, nil) // the next instance is spot, and the one after it on demand
	half.LaunchTemplate = nil
	half.MixedInstancesPolicy = &fakeaws.MixedInstancesPolicy{LaunchTemplate: fakeaws.LaunchTemplateRef{Name: "m5.large"},
		Overrides:    []fakeaws.Override{{InstanceType: "m5.large"}},
		Distribution: fakeaws.Distribution{OnDemandPercentageAboveBaseCapacity: awssdk.Int(50)}}
	spot := mixed
	policy := *mixed.MixedInstancesPolicy
	policy.Distribution.OnDemandBaseCapacity = 0
	spot.MixedInstancesPolicy = &policy
	ofEKS := awsworld.Group("web", "m5.large", 0, 0, 10, map[string]string{"eks:cluster-name": "prod", "eks:nodegroup-name": "web"})
	for _, tt := range []struct {
		name     string
		flags    string                     // amounts in nodes of m5.large
		groups   []fakeaws.AutoScalingGroup // besides web, if web is not the first
		want     int                        // of 5
		by       string
		unpriced bool
		unread   bool    // AWS denies the launch templates
		dearest  float64 // of the cap that keeps web from another node, in nodes of m5.large
	}{
		{name: "no cap", groups: []fakeaws.AutoScalingGroup{awsworld.Group("web", "m5.large", 0, 2, 10, nil)}, want: 5},
		{name: "a cap on others", flags: "team=ml:0", groups: []fakeaws.AutoScalingGroup{awsworld.Group("web", "m5.large", 0, 2, 10, labelled(nil))}, want: 5},
		{name: "part of it fits", flags: "4.5", groups: []fakeaws.AutoScalingGroup{awsworld.Group("web", "m5.large", 0, 2, 10, nil)}, want: 2, by: "cluster"},
		{name: "an exact fit", flags: "4", groups: []fakeaws.AutoScalingGroup{awsworld.Group("web", "m5.large", 0, 2, 10, nil)}, want: 2, by: "cluster"},
		{name: "all of it fits", flags: "50", groups: []fakeaws.AutoScalingGroup{awsworld.Group("web", "m5.large", 0, 2, 10, nil)}, want: 5, by: "cluster"},
		{name: "more is spent", flags: "1", groups: []fakeaws.AutoScalingGroup{awsworld.Group("web", "m5.large", 0, 2, 10, nil)}, by: "cluster"},
		{name: "other groups count", flags: "4.5", groups: []fakeaws.AutoScalingGroup{awsworld.Group("web", "m5.large", 0, 2, 10, nil),
			awsworld.Group("other", "m5.large", 0, 1, 10, nil)}, want: 1, by: "cluster"},
		{name: "the least room counts", flags: "50,team=web:3.5", groups: []fakeaws.AutoScalingGroup{awsworld.Group("web", "m5.large", 0, 2, 10, labelled(nil)),
			awsworld.Group("other", "m5.large", 0, 1, 10, nil)}, want: 1, by: "team=web"},
		{name: "a tag", flags: "50", groups: []fakeaws.AutoScalingGroup{awsworld.Group("web", "m5.large", 0, 1, 10, cap("2.1"))}, want: 1, by: "web"},
		{name: "a tag that cannot be read", groups: []fakeaws.AutoScalingGroup{awsworld.Group("web", "m5.large", 0, 0, 10, cap("NaN"))}, by: "web"},
		{name: "no price", flags: "50", groups: []fakeaws.AutoScalingGroup{awsworld.Group("web", "x9z.large", 0, 0, 10, nil)}, by: "cluster", unpriced: true},
		{name: "each counts as the dearest", flags: "1.9", groups: []fakeaws.AutoScalingGroup{mixed}, want: 1, by: "cluster"},
		{name: "a full group's count as well", flags: "4.5", groups: []fakeaws.AutoScalingGroup{awsworld.Group("web", "m5.large", 0, 2, 2, nil)}, want: 2, by: "cluster"},
		{name: "the next one would fit", flags: "1.9", groups: []fakeaws.AutoScalingGroup{half}, by: "cluster", dearest: 1},
		{name: "an unread group may have any label", flags: "team=ml:50", groups: []fakeaws.AutoScalingGroup{awsworld.Group("web", "m5.large", 0, 2, 10, nil)},
			want: 5, by: "team=ml", unread: true},
		{name: "its nodes cost what its present ones do", flags: "4.5", groups: []fakeaws.AutoScalingGroup{awsworld.Group("web", "m5.large", 0, 2, 10, nil)},
			want: 2, by: "cluster", unread: true},
		{name: "none is known to cost anything", flags: "50", groups: []fakeaws.AutoScalingGroup{awsworld.Group("web", "m5.large", 0, 0, 10, nil)},
			by: "cluster", unpriced: true, unread: true},
		{name: "an unread mixed group may have any label", flags: "team=ml:0", groups: []fakeaws.AutoScalingGroup{spot}, by: "team=ml", unread: true},
		{name: "and so may one of EKS", flags: "team=ml:0", groups: []fakeaws.AutoScalingGroup{ofEKS}, by: "team=ml", unread: true},
		{name: "unless its tags state it", flags: "team=ml:0", groups: []fakeaws.AutoScalingGroup{awsworld.Group("web", "m5.large", 0, 2, 10, labelled(nil))}, want: 5, unread: true},
		{name: "spot alone", flags: "1.9", groups: []fakeaws.AutoScalingGroup{spot}, want: 5, by: "cluster"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newAWS(t, nil, tt.groups...)
			if tt.unread {
				w.AWS.Deny(map[bool]string{true: "DescribeNodegroup", false: "DescribeLaunchTemplateVersions"}[strings.HasSuffix(tt.name, "EKS")])
			}
			w = w.restartedWith(func(o *asg.Options, p *aws.Options) {
				idle(o)
				var err error
				p.SpendCaps, err = aws.ParseSpendCaps(strings.FieldsFunc(tt.flags, func(r rune) bool { return r == ',' }))
				require.NoError(t, err)
				for at := range p.SpendCaps {
					p.SpendCaps[at].PerHour *= each
				}
			})
			room, by := w.Spending().Room("web", 5)
			of, unpriced := "", false
			if by != nil {
				of, unpriced = by.Of, by.Unpriced
			}
			assert.Truef(t, room == tt.want && of == tt.by && unpriced == tt.unpriced,
				"room for %d by %q, without a price %t, want %d by %q, %t", room, of, unpriced, tt.want, tt.by, tt.unpriced)
			assert.Equal(t, tt.want == 0, w.AtCap("web"), "the group is at a cap")
			if by := w.Capped(w.View().Group("web")); by != nil {
				assert.InDelta(t, tt.dearest*each, by.Dearest, 1e-9, "what its dearest further node costs")
			}
		})
	}
}

func TestCapsAreInOrder(t *testing.T) {
	tag := map[string]string{group.TagSpendCap: "1.5"}
	w := newAWS(t, nil, awsworld.Group("b", "m5.large", 0, 1, 9, tag), awsworld.Group("a", "m5.large", 0, 2, 9, tag)).restartedWith(func(o *asg.Options, p *aws.Options) {
		idle(o)
		p.SpendCaps = []decision.SpendCap{{Of: "team=ml", PerHour: 2}, {Of: decision.WholeCluster, PerHour: 9}}
	})
	want := []decision.SpendCap{{Of: "team=ml", PerHour: 2}, {Of: decision.WholeCluster, PerHour: 9, Spent: 3 * each, About: true},
		{Of: "a", Group: "a", PerHour: 1.5, Spent: 2 * each, About: true}, {Of: "b", Group: "b", PerHour: 1.5, Spent: each, About: true}}
	assert.Empty(t, cmp.Diff(want, w.Spending().Caps(), cmpopts.EquateApprox(0, 1e-9)), "caps (-want +got)")
}

// The last instances of a raise are AWS's to launch, or were refused.
func TestInstancesThatAWSRefusedDoNotCount(t *testing.T) {
	w := capped(t, 3, nil, awsworld.Group("a", "m5.large", 0, 0, 9, nil))
	w.AWS.Inject(fakeaws.Fault{Action: "SetDesiredCapacity", Code: "InternalFailure", Status: 500})
	require.Error(t, w.Grow("a", 3), "AWS did not refuse")
	w.NextLoop()
	w.NextLoop()
	room, _ := w.Spending().Room("a", 3)
	assert.Equal(t, 3, room, "room, want 3 again")
}

func TestParseSpendCaps(t *testing.T) {
	for text, sound := range map[string]bool{
		"25.50": true, "0": true, "team=ml:25": true, "example.com/team=ml:1": true,
		"": true, "-1": false, "NaN": false, "Inf": false, "1e3": false, "team:1": false, "=ml:1": false, "team=:1": false, "team=ml": false, "team=ml:": false, strings.Repeat("9", 400): false,
	} {
		caps, err := aws.ParseSpendCaps([]string{text})
		assert.Truef(t, (err == nil) == sound, "%q: %v, %v", text, caps, err)
	}
	caps, err := aws.ParseSpendCaps([]string{"25.5", "team=ml:3"})
	want := []decision.SpendCap{{Of: "cluster", PerHour: 25.5}, {Of: "team=ml", PerHour: 3}}
	assert.Truef(t, err == nil && slices.Equal(caps, want), "caps %v, %v, want %v", caps, err, want)
}
