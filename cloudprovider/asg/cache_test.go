package asg_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func names(s *group.Snapshot) []string {
	var all []string
	for _, g := range s.Groups() {
		all = append(all, g.Name)
	}
	return all
}

func tagged(name string, tags map[string]string) fakeaws.AutoScalingGroup {
	g := scalingGroup(name, 0, 0, 3)
	g.Tags = tags
	return g
}

// named is the discovery by the values of --nodes.
func named(t *testing.T, nodes ...string) ownership.Discovery {
	t.Helper()
	discovery, err := ownership.ParseDiscovery(nodes, nil)
	require.NoError(t, err)
	return discovery
}

func TestAbsentNamesMatchNoGroupOrZone(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, having(scalingGroup("a", 0, 0, 3), scalingGroup("b", 0, 0, 3)),
		named(t, "0:1:b/us-west-2b", "0:1:missing", "0:1:a/us-west-2a", "0:1:a", "0:1:none/us-west-2a")).started()
	assert.Empty(t, cmp.Diff([]string{"b/us-west-2b", "missing", "none/us-west-2a"}, w.cache.Absent()), "absent names (-want +got)")
	assert.Nil(t, w.cache.Snapshot().Group("b"), "a group in which no flag names a zone")
}

func TestSenselessDiscoveryFlagsAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		nodes []string
		auto  []string
	}{
		{name: "no maximum", nodes: []string{"1:workers"}},
		{name: "minimum above maximum", nodes: []string{"3:1:workers"}},
		{name: "negative minimum", nodes: []string{"-1:1:workers"}},
		{name: "minimum is no number", nodes: []string{"x:1:workers"}},
		{name: "maximum is no number", nodes: []string{"0:x:workers"}},
		{name: "other discoverer", auto: []string{"mig:tag=a"}},
		{name: "other parameter", auto: []string{"asg:name=a"}},
		{name: "no tag", auto: []string{"asg:tag="}},
		{name: "tag without key", auto: []string{"asg:tag=a,=b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := ownership.ParseDiscovery(tt.nodes, tt.auto)
			assert.Errorf(t, err, "ParseDiscovery(%q, %q) = %+v, want an error", tt.nodes, tt.auto, d)
		})
	}
}

func TestFlagLimitsNarrowAWSLimits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		flag        string
		least, most int
	}{
		{"3:5:a", 3, 5},
		{"0:9:a", 2, 6}, // AWS would refuse to go beyond its own
		{"7:9:a", 6, 6},
		{"0:0:a", 2, 2}, // or to terminate below them
	} {
		t.Run(tt.flag, func(t *testing.T) {
			w := newWorldOf(t, having(scalingGroup("a", 2, 2, 6)), named(t, tt.flag, "0:1:a")).started()
			assert.Equal(t, [2]int{tt.least, tt.most}, [2]int{w.group("a").MinSize, w.group("a").MaxSize}, "limits")
		})
	}
}

func TestCallsGrowWithPagesOfGroups(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name                string
		groups, unused      int // unused launch templates are in the account, too
		readings, templates int // calls
	}{
		{name: "few groups", groups: 4, readings: 1, templates: 4},
		{name: "ten groups", groups: 10, readings: 1, templates: 1},
		{name: "ten groups among many templates", groups: 10, unused: 900, readings: 1, templates: 2 + 10},
		{name: "thousand groups", groups: 1000, readings: 10, templates: 5},
		{name: "thousand groups and one more template", groups: 1000, unused: 1, readings: 10, templates: 6},
	} {
		t.Run(tt.name, bubbled(func(t *testing.T) {
			config := fakeaws.Config{Delays: quick}
			for n := range tt.unused + tt.groups {
				name := fmt.Sprintf("workers-%04d", n)
				config.LaunchTemplates = append(config.LaunchTemplates, fakeaws.LaunchTemplate{ID: fmt.Sprintf("lt-%017d", n), Name: name,
					Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-0abc", InstanceType: "m5.large"}}})
				if n >= tt.unused {
					g := scalingGroup(name, 0, 0, 3)
					g.LaunchTemplate = &fakeaws.LaunchTemplateRef{Name: name, Version: "1"}
					config.AutoScalingGroups = append(config.AutoScalingGroups, g)
				}
			}
			w := newWorldOf(t, config, discovered).started()
			require.Equal(t, tt.groups, len(w.cache.Snapshot().Groups()), "discovered groups")
			for _, g := range w.cache.Snapshot().Groups() {
				require.Truef(t, g.LaunchSpec != nil && len(g.LaunchSpec.Types) == 1, "what group %s launches is not known: %+v", g.Name, g.Problems)
			}
			want := map[string]int{"DescribeAutoScalingGroups": tt.readings, "DescribeLaunchTemplateVersions": tt.templates, "DescribeImages": 1}
			assert.Empty(t, cmp.Diff(want, w.aws.Calls()), "calls at start (-want +got)")
			w.aws.ResetCalls()
			w.refresh()
			assert.Empty(t, cmp.Diff(map[string]int{"DescribeAutoScalingGroups": tt.readings}, w.aws.Calls()), "calls of one refresh (-want +got)")
		}))
	}
}

func TestFailedPageKeepsLastSnapshot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 0, 3), scalingGroup("b", 0, 1, 3)).started()
		before := w.cache.Snapshot()
		for _, fault := range []fakeaws.Fault{
			{Action: "DescribeAutoScalingGroups", Code: "ServiceUnavailable"},
			{Action: "DescribeAutoScalingGroups", Body: fakeaws.Truncated},
			{Action: "DescribeAutoScalingGroups", Body: fakeaws.Garbled},
		} {
			w.aws.Inject(fault)
			assert.Errorf(t, w.cache.Refresh(t.Context()), "Refresh under %+v gave no error", fault)
			assert.Truef(t, w.cache.Snapshot() == before, "Refresh under %+v replaced the snapshot", fault)
			w.aws.ClearFaults()
		}
	})
}

func TestAReadingWithoutValidCredentialsSaysSo(t *testing.T) {
	var reasons []string
	w := newWorld(t, scalingGroup("a", 0, 0, 3)).with(func(o *asg.Options) {
		o.Read = func(_ time.Time, reason, _ string) { reasons = append(reasons, reason) }
	}).started()
	for _, code := range []string{"AccessDenied", "ExpiredToken"} {
		w.aws.Inject(fakeaws.Fault{Action: "DescribeAutoScalingGroups", Code: code, Times: 1})
		require.Error(t, w.cache.Refresh(t.Context()))
	}
	assert.Equal(t, []string{"", "denied", "unauthenticated"}, reasons)
}

// A restart mends neither a throttle nor a fault of AWS. It may mend the rest.
func TestTroubleOfAWSDoesNotCountAsUnread(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		fault fakeaws.Fault
		want  time.Duration
	}{
		{"fault", fakeaws.Fault{Code: "InternalFailure"}, 0},
		{"unavailable", fakeaws.Fault{Code: "ServiceUnavailable"}, 0},
		{"throttle", fakeaws.Fault{Code: "Throttling"}, 0},
		{"denial", fakeaws.Fault{Code: "AccessDenied"}, time.Hour},
		{"gateway timeout", fakeaws.Fault{Code: "GatewayTimeout", Status: 504}, time.Hour},
		{"no answer", fakeaws.Fault{Body: fakeaws.Lost}, time.Hour},
		{"garbage", fakeaws.Fault{Body: fakeaws.Garbled}, time.Hour},
	} {
		t.Run(tt.name, bubbled(func(t *testing.T) {
			w := newWorld(t, scalingGroup("a", 0, 0, 3)).started()
			time.Sleep(time.Hour)
			tt.fault.Action = "DescribeAutoScalingGroups"
			w.aws.Inject(tt.fault)
			require.Error(t, w.cache.Refresh(t.Context()))
			assert.Equal(t, tt.want, w.cache.Unread().Truncate(time.Hour))
			w.aws.ClearFaults()
			w.refresh()
			assert.Less(t, w.cache.Unread(), time.Minute, "after a reading")
		}))
	}
}

// Amid an outage one reading may fail in another way.
func TestUnreadCountsFromTheEndOfAWSsTrouble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 0, 3)).started()
		fails := func(after time.Duration, f fakeaws.Fault) {
			time.Sleep(after)
			f.Action, f.Times = "DescribeAutoScalingGroups", 1
			w.aws.Inject(f)
			require.Error(t, w.cache.Refresh(t.Context()))
		}
		fails(time.Hour, fakeaws.Fault{Code: "ServiceUnavailable"})
		fails(time.Minute, fakeaws.Fault{Body: fakeaws.Lost})
		assert.Equal(t, time.Minute, w.cache.Unread().Truncate(time.Minute), "after another failure")
		fails(time.Hour, fakeaws.Fault{Body: fakeaws.Lost})
		assert.Equal(t, 61*time.Minute, w.cache.Unread().Truncate(time.Minute), "an hour without AWS's trouble")
	})
}

func TestDeletedGroupLeavesSnapshot(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]fakeaws.Fault{
		"AWS leaves it out":      {Action: "none"},
		"an endpoint refuses it": {Group: "a", Code: "ValidationError", Message: "AutoScalingGroup name not found"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, discovery := range []ownership.Discovery{discovered, named(t, "0:3:a", "0:3:b", "0:3:c")} {
				w := newWorldOf(t, having(scalingGroup("a", 0, 0, 3), scalingGroup("b", 0, 0, 3), scalingGroup("c", 0, 0, 3)), discovery).started()
				w.must(w.aws.DeleteGroup("a"))
				w.aws.Inject(fault)
				assert.ErrorIs(t, w.cache.Increase(t.Context(), "a", 1), asg.ErrGroupNotFound, "Increase of a deleted group")
				w.refresh()
				assert.Empty(t, cmp.Diff([]string{"b", "c"}, names(w.cache.Snapshot())), "groups after the deletion (-want +got)")
			}
		})
	}
}

func TestAMissingTemplateNamesTheNextStep(t *testing.T) {
	t.Parallel()
	broken := func(name, template, version string) fakeaws.AutoScalingGroup {
		g := scalingGroup(name, 0, 0, 3)
		g.LaunchTemplate = &fakeaws.LaunchTemplateRef{Name: template, Version: version}
		return g
	}
	eks := broken("eks", "doomed", "1")
	eks.Tags["eks:cluster-name"], eks.Tags["eks:nodegroup-name"] = "prod", "ng"
	doomed := fakeaws.LaunchTemplate{Name: "doomed", Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-0abc", InstanceType: "m5.large"}}}
	w := newWorldOf(t, fakeaws.Config{Delays: quick, LaunchTemplates: []fakeaws.LaunchTemplate{workers("m5.large"), doomed},
		AutoScalingGroups: []fakeaws.AutoScalingGroup{broken("it's", "doomed", "$Default"), broken("old", "workers", "9"), eks, scalingGroup("sound", 0, 0, 3)},
	}, discovered)
	w.must(w.aws.DeleteLaunchTemplate("doomed"))
	w.started()
	gone, old := w.group("eks").Source.Template.ID, w.group("old").Source.Template.ID
	const content = "see what it held, within 90 days: aws cloudtrail lookup-events --lookup-attributes 'AttributeKey=EventName,AttributeValue=CreateLaunchTemplate'\nmake such a launch template again"
	for name, want := range map[string][2]string{
		"it's": {"launch template " + gone + " does not exist", content + `, and give it to the group: aws autoscaling update-auto-scaling-group ` +
			`--auto-scaling-group-name 'it'\''s' --launch-template 'LaunchTemplateName=TEMPLATE,Version=$Default'`},
		"old": {"launch template " + old + " has no version 9", "choose a version that exists, and give it to the group: aws autoscaling update-auto-scaling-group " +
			"--auto-scaling-group-name old --launch-template 'LaunchTemplateId=" + old + ",Version=$Default'"},
		"eks": {"launch template " + gone + " does not exist", content + `, and give it to EKS node group "ng"`},
	} {
		g := w.group(name)
		assert.Truef(t, g.LaunchSpec == nil && len(g.Problems) > 0 && g.Problems[0].Reason == launchspec.ReasonLaunchSourceMissing &&
			g.Problems[0].Message == want[0] && g.Problems[0].Remedy == want[1], "group %q launches %+v with problems %+v, want nothing and %q", name, g.LaunchSpec, g.Problems, want)
	}
	assert.NotNil(t, w.group("sound").LaunchSpec, "launch facts of the sound group")
	assert.Empty(t, w.group("sound").Problems, "problems of the sound group")
}

// aMinuteLater reads the groups and what they launch from, a minute later.
func (w *world) aMinuteLater() {
	w.t.Helper()
	time.Sleep(time.Minute)
	w.refresh()
	asg.Resolve(w.cache, w.t.Context())
}

// wantTypes checks what the group launches. Nil is that nothing is known of it.
func wantTypes(t *testing.T, g *group.Group, want []launchspec.Type) {
	t.Helper()
	if want == nil {
		assert.Nil(t, g.LaunchSpec, "what it launches")
		return
	}
	require.NotNilf(t, g.LaunchSpec, "what it launches is not known: %+v", g.Problems)
	assert.Equal(t, want, g.LaunchSpec.Types, "types")
}

// Other endpoints may know launch templates by their names alone: the Cluster Autoscaler asks for no ID.
func TestTemplateUnknownByItsIDIsReadByItsName(t *testing.T) {
	t.Parallel()
	first := fakeaws.LaunchTemplate{ID: "lt-0", Name: "another", Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-0abc", InstanceType: "c5.large"}}}
	for _, tt := range []struct {
		name string
		code string            // of the answer to an ID, which lists the other template first if this is empty
		want []launchspec.Type // nil where it is not asked for by its name
	}{
		{name: "all are listed", want: []launchspec.Type{{Name: "m5.large", Weight: 1}}},
		{name: "not found", code: "InvalidLaunchTemplateId.NotFound", want: []launchspec.Type{{Name: "m5.large", Weight: 1}}},
		{name: "the name is missing", code: "MissingParameter", want: []launchspec.Type{{Name: "m5.large", Weight: 1}}},
		{name: "denied", code: "AccessDenied"},
		{name: "throttled", code: "Throttling"},
		{name: "credentials unknown", code: "InvalidClientTokenId"},
	} {
		t.Run(tt.name, bubbled(func(t *testing.T) {
			config := having(scalingGroup("a", 0, 0, 3))
			config.LaunchTemplates, config.Lacks.TemplateIDs = append(config.LaunchTemplates, first), tt.code == ""
			w := newWorldOf(t, config, discovered)
			if tt.code != "" {
				w.aws.Inject(fakeaws.Fault{Action: "DescribeLaunchTemplateVersions", Params: map[string]string{"LaunchTemplateId": "*"}, Code: tt.code})
			}
			wantTypes(t, w.started().group("a"), tt.want)
		}))
	}
}

func TestTemplateMadeAnewUnderItsNameIsAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 0, 3))
		w.calls.edit = func(g *types.AutoScalingGroup) { g.LaunchTemplate.LaunchTemplateId = aws.String("lt-of-before") }
		w.started()
		const minutes = 60
		for range minutes {
			w.aMinuteLater()
			require.Truef(t, w.group("a").Blocked() && w.group("a").LaunchSpec == nil, "launches %+v", w.group("a").LaunchSpec)
		}
		w.aws.Inject(fakeaws.Fault{Action: "DescribeLaunchTemplateVersions", Params: map[string]string{"LaunchTemplateName": "*"}, Code: "Throttling"})
		for range minutes {
			w.aMinuteLater()
			require.True(t, w.group("a").Blocked(), "blocked while the question by the name is throttled")
		}
		calls := w.aws.Calls()["DescribeLaunchTemplateVersions"] / 2
		assert.Truef(t, calls >= minutes && calls <= minutes+minutes/6, "%d calls in %d minutes, want hardly more than one in a minute", calls, minutes)
	})
}

// The Cluster Autoscaler reads no template of such a group, so other endpoints may have none. AWS has codes of its own for one that is deleted.
func TestPolicyThatNamesTypesNeedsNoTemplateOfAnotherEndpoint(t *testing.T) {
	t.Parallel()
	mixed := mixing(scalingGroup("mixed", 0, 0, 3), fakeaws.Override{InstanceType: "m5.large"})
	for _, tt := range []struct {
		name    string
		change  func(*world)
		problem string // of both groups
	}{
		{name: "not listed", change: func(w *world) { w.must(w.aws.DeleteLaunchTemplate("workers")) }, problem: "could not be read: the endpoint lists no such launch template"},
		{name: "not found, by another code", change: func(w *world) {
			w.aws.Inject(fakeaws.Fault{Action: "DescribeLaunchTemplateVersions", Code: "ResourceNotFoundException", Message: "none"})
		}, problem: "could not be read: the endpoint lists no such launch template: ResourceNotFoundException: none"},
		{name: "not named", change: func(w *world) {
			w.calls.edit = func(g *types.AutoScalingGroup) {
				if p := g.MixedInstancesPolicy; p != nil {
					p.LaunchTemplate.LaunchTemplateSpecification = &types.LaunchTemplateSpecification{}
				}
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config := having(mixed, scalingGroup("plain", 0, 0, 3))
			config.Lacks.TemplateIDs = true
			w := newWorldOf(t, config, discovered)
			tt.change(w)
			w.started()
			for _, g := range w.cache.Snapshot().Groups() {
				assert.Falsef(t, g.Blocked(), "%s is blocked: %+v", g.Name, g.Problems)
				require.Equalf(t, tt.problem != "", len(g.Problems) == 1, "problems of %s: %+v", g.Name, g.Problems)
				if tt.problem != "" {
					assert.Containsf(t, g.Problems[0].Message, tt.problem, "problem of %s", g.Name)
					assert.Containsf(t, g.Problems[0].Remedy, "create it at the endpoint, or ", "remedy of %s", g.Name)
				}
			}
			g := w.group("mixed")
			require.NotNilf(t, g.LaunchSpec, "what it launches is not known: %+v", g.Problems)
			assert.Equal(t, []launchspec.Type{{Name: "m5.large", Weight: 1}}, g.LaunchSpec.Types, "types")
		})
	}
}

// An encoder of another endpoint may leave out zeros.
func TestMissingMinimumIsNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 1, 3))
	w.calls.edit = func(g *types.AutoScalingGroup) { g.MinSize = nil }
	g := w.started().group("a")
	assert.Equal(t, [3]int{0, 1, 3}, [3]int{g.MinSize, g.DesiredCapacity, g.MaxSize}, "sizes")
}

func TestDeniedNodegroupKeepsRestOfSpec(t *testing.T) {
	t.Parallel()
	var problems [2][]launchspec.Problem
	for at := range problems { // each denial has a request ID of its own, and the problem stays equal
		w := newWorld(t, managed("managed", 0, 0, 3))
		w.aws.Deny("DescribeNodegroup")
		g := w.started().group("managed")
		problems[at] = g.Problems
		assert.Truef(t, g.LaunchSpec != nil && g.LaunchSpec.Nodegroup == nil, "launch = %+v, want the template's facts without the node group's", g.LaunchSpec)
		assert.Truef(t, len(g.Problems) == 1 && g.Problems[0].Reason == launchspec.ReasonNodegroupUnread,
			"problems = %+v, want one of %s", g.Problems, launchspec.ReasonNodegroupUnread)
	}
	assert.Empty(t, cmp.Diff(problems[0], problems[1]), "two look-ups that were denied alike (-first +second)")
}

// Terraform's default tags, with a commit or a date, change at every apply.
func TestOnlyResourceTagsOfANodegroupDescribeNodes(t *testing.T) {
	t.Parallel()
	with := func(tags map[string]string) *launchspec.Nodegroup {
		config := having(managed("a", 0, 0, 3))
		config.EKSNodegroups = []fakeaws.EKSNodegroup{{Cluster: "prod", Name: "workers", AutoScalingGroup: "a", Tags: tags}}
		return newWorldOf(t, config, discovered).started().group("a").LaunchSpec.Nodegroup
	}
	const resource = "k8s.io/cluster-autoscaler/node-template/resources/nvidia.com/gpu"
	tagged := with(map[string]string{"commit": "1", resource: "1"})
	assert.Equal(t, tagged, with(map[string]string{"commit": "2", "team": "web", resource: "1"}), "with another commit and team")
	assert.NotEqual(t, tagged, with(map[string]string{"commit": "1", resource: "2"}), "with another GPU")
}

// Pods that do not tolerate the taint would get a node of the group.
func TestGroupWaitsForItsNodegroup(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fails time.Duration
		want  bool // the node group is known in the end
	}{"throttled at the start": {10 * time.Second, true}, "without an endpoint": {time.Hour, false}} {
		t.Run(name, bubbled(func(t *testing.T) {
			config := having(managed("a", 0, 0, 3))
			config.EKSNodegroups = []fakeaws.EKSNodegroup{{Cluster: "prod", Name: "workers", AutoScalingGroup: "a",
				Taints: []fakeaws.EKSTaint{{Key: "dedicated", Value: "batch", Effect: "NO_SCHEDULE"}}}}
			w := newWorldOf(t, config, discovered)
			w.aws.Inject(fakeaws.Fault{Action: "DescribeNodegroup", Code: "Throttling", For: fakeaws.Duration(tt.fails)})
			w.running()
			g := w.group("a")
			assert.Truef(t, g.LaunchSpec == nil && !g.Blocked() && len(g.Problems) == 1 && g.Problems[0].Reason == launchspec.ReasonNodegroupUnread,
				"launches %+v with problems %+v, want nothing for now", g.LaunchSpec, g.Problems)
			for range 120 {
				time.Sleep(500 * time.Millisecond)
				spec := w.group("a").LaunchSpec
				require.Truef(t, spec == nil || !tt.want || spec.Nodegroup != nil && len(spec.Nodegroup.Taints) == 1, "launches %+v, want the taint", spec)
			}
			spec := w.group("a").LaunchSpec
			assert.Truef(t, spec != nil && (spec.Nodegroup != nil) == tt.want, "launches %+v a minute later", spec)
		}))
	}
}

func TestDeletedLaunchTemplateBlocksGroup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 0, 3)).running()
		w.must(w.aws.DeleteLaunchTemplate("workers"))
		w.increase(1)
		w.waitWhile("no problem blocks it, or it launches", func() bool { g := w.group("a"); return !g.Blocked() || g.LaunchSpec != nil })
		w.must(w.aws.PutLaunchTemplate(workers("m5.large")))
	})
}

func TestSuspendedLaunchProcessBlocksGroup(t *testing.T) {
	t.Parallel()
	suspended, rebalance := scalingGroup("a", 0, 0, 3), scalingGroup("b", 0, 0, 3)
	suspended.SuspendedProcesses, rebalance.SuspendedProcesses = []string{"AZRebalance", "Launch"}, []string{"AZRebalance"}
	w := newWorld(t, suspended, rebalance).started()
	assert.Truef(t, w.group("a").Blocked() && !w.group("b").Blocked(),
		"problems are %+v and %+v, want the first group alone blocked", w.group("a").Problems, w.group("b").Problems)
}

func TestPolicyTypes(t *testing.T) {
	t.Parallel()
	mixed := func(overrides ...fakeaws.Override) fakeaws.AutoScalingGroup {
		g := mixing(scalingGroup("g", 0, 0, 9), overrides...)
		g.MixedInstancesPolicy.LaunchTemplate.Version = "$Latest"
		g.MixedInstancesPolicy.Distribution.OnDemandPercentageAboveBaseCapacity = new(int)
		return g
	}
	configured := scalingGroup("g", 0, 0, 9)
	configured.LaunchTemplate, configured.LaunchConfiguration = nil, "old"
	most := 4
	search := &ec2types.InstanceRequirementsRequest{AllowedInstanceTypes: []string{"m5.*", "c5.xlarge"}, MemoryMiB: &ec2types.MemoryMiBRequest{Min: aws.Int32(1)},
		VCpuCount: &ec2types.VCpuCountRangeRequest{Min: aws.Int32(4), Max: aws.Int32(4)}}
	for _, tt := range []struct {
		name   string
		group  fakeaws.AutoScalingGroup
		unread string            // the code with which AWS answers to DescribeLaunchTemplateVersions
		again  int               // how often it does again
		want   []launchspec.Type // none where what it launches is not known
	}{
		{name: "launch template", group: scalingGroup("g", 0, 0, 9), want: []launchspec.Type{{Name: "m5.large", Weight: 1}}},
		{name: "launch configuration", group: configured, want: []launchspec.Type{{Name: "c5.large", Weight: 1}}},
		{name: "policy without overrides", group: mixed(), want: []launchspec.Type{{Name: "m5.large", Weight: 1}}},
		{name: "policy with types", group: mixed(fakeaws.Override{InstanceType: "g4dn.xlarge"}, fakeaws.Override{InstanceType: "g4dn.2xlarge", WeightedCapacity: 2}),
			want: []launchspec.Type{{Name: "g4dn.xlarge", Weight: 1}, {Name: "g4dn.2xlarge", Weight: 2}}},
		{name: "policy with types, template denied", unread: "AccessDenied",
			group: mixed(fakeaws.Override{InstanceType: "m5.large"}, fakeaws.Override{InstanceType: "m5.large"},
				fakeaws.Override{InstanceType: "m5.xlarge", WeightedCapacity: 2}),
			want: []launchspec.Type{{Name: "m5.large", Weight: 1}, {Name: "m5.xlarge", Weight: 2}}},
		{name: "policy with types, endpoint without templates", unread: "InvalidAction", group: mixed(fakeaws.Override{InstanceType: "m5.large"}),
			want: []launchspec.Type{{Name: "m5.large", Weight: 1}}},
		{name: "policy with types, template throttled", unread: "Throttling", group: mixed(fakeaws.Override{InstanceType: "m5.large"})},
		{name: "policy with types, template throttled again", unread: "Throttling", again: 2, group: mixed(fakeaws.Override{InstanceType: "m5.large"})},
		{name: "policy with types, EC2 knows other credentials", unread: "AuthFailure", again: 3, group: mixed(fakeaws.Override{InstanceType: "m5.large"}),
			want: []launchspec.Type{{Name: "m5.large", Weight: 1}}},
		{name: "policy with types, EC2 always at fault", unread: "InternalError", again: 3, group: mixed(fakeaws.Override{InstanceType: "m5.large"}),
			want: []launchspec.Type{{Name: "m5.large", Weight: 1}}},
		{name: "launch template, EC2 always at fault", unread: "InternalError", again: 9, group: scalingGroup("g", 0, 0, 9)},
		{name: "policy with types, template gone", unread: "InvalidLaunchTemplateName.NotFoundException", again: 9, group: mixed(fakeaws.Override{InstanceType: "m5.large"})},
		{name: "policy without overrides, template denied", unread: "AccessDenied", group: mixed()},
		{name: "launch template, denied", unread: "AccessDenied", group: scalingGroup("g", 0, 0, 9)},
		{name: "policy with requirements", group: mixed(fakeaws.Override{Requirements: &fakeaws.InstanceRequirements{
			VCPUs: fakeaws.Range{Min: 4, Max: &most}, MemoryMiB: fakeaws.Range{Min: 1}, AllowedInstanceTypes: []string{"m5.*", "c5.xlarge"}}}),
			want: []launchspec.Type{{Name: "c5.xlarge", Weight: 1, Search: search}, {Name: "m5.xlarge", Weight: 1, Search: search}}},
	} {
		t.Run(tt.name, bubbled(func(t *testing.T) {
			config := having(tt.group)
			config.Images = []fakeaws.Image{{ID: "ami-0abc"}}
			w := newWorldOf(t, config, discovered)
			if tt.unread != "" {
				w.aws.Inject(fakeaws.Fault{Action: "DescribeLaunchTemplateVersions", Code: tt.unread})
			}
			w.started()
			for range tt.again {
				w.aMinuteLater()
			}
			g := w.group("g")
			if gone := strings.HasPrefix(tt.unread, "InvalidLaunchTemplate"); tt.unread != "" {
				reason := map[bool]string{false: launchspec.ReasonLaunchSourceUnread, true: launchspec.ReasonLaunchSourceMissing}[gone]
				require.Truef(t, len(g.Problems) == 1 && g.Problems[0].Reason == reason && g.Blocked() == gone, "problems %+v, want one, blocking %t", g.Problems, gone)
				assert.Equalf(t, tt.want != nil, strings.HasSuffix(g.Problems[0].Message, "instance types in the policy are known of its nodes"),
					"problem %+v", g.Problems[0])
				assert.Equalf(t, slices.Contains([]string{"Throttling", "InternalError", "AuthFailure"}, tt.unread), strings.HasPrefix(g.Problems[0].Remedy, "wait: "), "remedy %q", g.Problems[0].Remedy)
			}
			wantTypes(t, g, tt.want)
		}))
	}
}

func TestSnapshotsDoNotChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 1, 3)).started()
	s := w.cache.Snapshot()
	before := *s.Group("a")
	w.increase(1)
	assert.Equal(t, before.DesiredCapacity, s.Group("a").DesiredCapacity, "desired capacity in a snapshot taken before the write")
	assert.Equal(t, before.Instances, s.Group("a").Instances, "instances in a snapshot taken before the write")
	assert.Equal(t, 2, w.group("a").DesiredCapacity, "the newest snapshot shows a desired capacity after the write")
}

func TestUnreadLaunchTemplateIsRetriedWithinSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 0, 3))
		fault := w.aws.Inject(fakeaws.Fault{Action: "DescribeLaunchTemplateVersions", Code: "ServiceUnavailable"})
		w.running()
		require.Nil(t, w.group("a").LaunchSpec, "launch facts")
		require.Len(t, w.group("a").Problems, 1, "problems")
		w.aws.ClearFaults(fault)
		w.waitWhile("it has problems, or launches nothing", func() bool { g := w.group("a"); return g.LaunchSpec == nil || len(g.Problems) > 0 })
	})
}

// onePage returns the item of the page, and the token of the next one.
func onePage[T any](all []T, token *string) ([]T, *string) {
	at, _ := strconv.Atoi(aws.ToString(token))
	if at+1 >= len(all) {
		return all[at:], nil
	}
	return all[at : at+1], aws.String(strconv.Itoa(at + 1))
}

// shortPages are EC2's calls with one image a page, and one version of a launch template, the oldest of each first: AWS promises no order.
type shortPages struct{ launchspec.EC2API }

func (c shortPages) DescribeLaunchTemplateVersions(ctx context.Context, in *ec2.DescribeLaunchTemplateVersionsInput,
	o ...func(*ec2.Options)) (*ec2.DescribeLaunchTemplateVersionsOutput, error) {
	token := in.NextToken
	in.NextToken = nil
	out, err := c.EC2API.DescribeLaunchTemplateVersions(ctx, in, o...)
	if err != nil || in.MaxResults == nil {
		return out, err
	}
	slices.Reverse(out.LaunchTemplateVersions)
	out.LaunchTemplateVersions, out.NextToken = onePage(out.LaunchTemplateVersions, token)
	return out, nil
}

func (c shortPages) DescribeImages(ctx context.Context, in *ec2.DescribeImagesInput,
	o ...func(*ec2.Options)) (*ec2.DescribeImagesOutput, error) {
	token := in.NextToken
	in.NextToken = nil
	out, err := c.EC2API.DescribeImages(ctx, in, o...)
	if err == nil {
		out.Images, out.NextToken = onePage(out.Images, token)
	}
	return out, err
}

func TestNewestVersionIsKnownDespiteUnreadPage(t *testing.T) {
	t.Parallel()
	config := fakeaws.Config{Delays: quick}
	old, latest := fakeaws.LaunchTemplateVersion{InstanceType: "m5.large"}, fakeaws.LaunchTemplateVersion{InstanceType: "m5.xlarge"}
	for n := range 30 {
		g := scalingGroup(fmt.Sprintf("workers-%02d", n), 0, 0, 3)
		g.LaunchTemplate = &fakeaws.LaunchTemplateRef{Name: g.Name, Version: "$Latest"}
		template := fakeaws.LaunchTemplate{ID: fmt.Sprintf("lt-%017d", n), Name: g.Name, Versions: []fakeaws.LaunchTemplateVersion{old, latest}}
		if n == 29 {
			template.Versions = template.Versions[1:] // so that the last page that is read has an old version
		}
		config.AutoScalingGroups, config.LaunchTemplates = append(config.AutoScalingGroups, g), append(config.LaunchTemplates, template)
	}
	w := newWorldOf(t, config, discovered).with(func(o *asg.Options) { o.Launches.EC2 = shortPages{o.Launches.EC2} }).started()
	for _, g := range w.cache.Snapshot().Groups() {
		assert.Truef(t, g.LaunchSpec != nil && g.LaunchSpec.Types[0].Name == "m5.xlarge",
			"group %s launches %+v, want m5.xlarge, as the newest version says", g.Name, g.LaunchSpec)
	}
}
