package asg_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// discovered starts a world with the groups and returns the names that the flags select.
func discoveredBy(t *testing.T, join ownership.DiscoveryJoin, unfiltered bool, flags []string, groups ...fakeaws.AutoScalingGroup) (*world, []string) {
	t.Helper()
	discovery, err := ownership.ParseDiscovery([]string{"1:2:by-name", "0:9:missing"}, flags)
	require.NoError(t, err)
	discovery.Join = join
	w := newWorldOf(t, having(groups...), discovery)
	w.calls.unfiltered = unfiltered
	return w, names(w.started().cache.Snapshot())
}

func TestDiscoveryFlagsJoin(t *testing.T) {
	groups := []fakeaws.AutoScalingGroup{
		tagged("a-only", map[string]string{"a": "x"}),
		tagged("a-and-b", map[string]string{"a": "x", "b": "1"}),
		tagged("a-and-other-b", map[string]string{"a": "x", "b": "2"}),
		tagged("c-only", map[string]string{"c": ""}),
		tagged("all", map[string]string{"a": "", "b": "1", "c": "1"}),
		tagged("by-name", nil),
		tagged("untagged", nil),
	}
	for _, tt := range []struct {
		name  string
		join  ownership.DiscoveryJoin
		flags []string
		want  []string
	}{
		{name: "by AND as in stock", flags: []string{"asg:tag=a,b=1", "asg:tag=c"}, want: []string{"all", "by-name"}},
		{name: "by AND if said", join: ownership.JoinAll, flags: []string{"asg:tag=a", "asg:tag=b"}, want: []string{"a-and-b", "a-and-other-b", "all", "by-name"}},
		{name: "as alternatives", join: ownership.JoinAny, flags: []string{"asg:tag=a,b=1", "asg:tag=c"}, want: []string{"a-and-b", "all", "by-name", "c-only"}},
		{name: "last value of a key wins", flags: []string{"asg:tag=a,b=1", "asg:tag=b=2"}, want: []string{"a-and-other-b", "by-name"}},
		{name: "last value wins within a flag", join: ownership.JoinAny, flags: []string{"asg:tag=b=1,b=2"}, want: []string{"a-and-other-b", "by-name"}},
		{name: "last key without value takes any", flags: []string{"asg:tag=b=1", "asg:tag=b"}, want: []string{"a-and-b", "a-and-other-b", "all", "by-name"}},
		{name: "names alone", want: []string{"by-name"}},
	} {
		for _, unfiltered := range []bool{false, true} { // as where an endpoint ignores filters
			t.Run(fmt.Sprintf("%s, unfiltered %t", tt.name, unfiltered), func(t *testing.T) {
				w, got := discoveredBy(t, tt.join, unfiltered, tt.flags, groups...)
				assert.Empty(t, cmp.Diff(tt.want, got), "discovered groups (-want +got)")
				g := w.group("by-name")
				assert.Truef(t, g.MinSize == 1 && g.MaxSize == 2, "limits of the named group are %d to %d, want 1 to 2 from the flag", g.MinSize, g.MaxSize)
			})
		}
	}
}

func TestEndpointThatShowsNoTagsIsBelieved(t *testing.T) {
	w := newWorld(t, scalingGroup("a", 0, 1, 3))
	w.calls.edit = func(g *types.AutoScalingGroup) { g.Tags = nil }
	assert.Equal(t, []string{"a"}, names(w.started().cache.Snapshot()), "groups")
}

// Endpoints other than AWS's refuse to describe a group that they do not have.
func TestGroupThatTheEndpointRefusesToDescribeIsGone(t *testing.T) {
	for _, fault := range []fakeaws.Fault{
		{Code: "ValidationError", Message: "Group b not found"},
		{Code: "ResourceNotFound", Message: "no such group"},
		{Code: "ValidationError", Message: "AutoScalingGroup name not found - b"},
	} {
		t.Run(fault.Code+" "+fault.Message, func(t *testing.T) {
			w := newWorld(t, scalingGroup("a", 0, 1, 3), scalingGroup("b", 0, 1, 3)).started()
			w.must(w.aws.DeleteGroup("b"))
			w.waitWhile("AWS still has the group", func() bool { _, has := w.aws.Group("b"); return has })
			fault.Action, fault.Status, fault.Params = "DescribeAutoScalingGroups", 400, map[string]string{"AutoScalingGroupNames.member.1": "*"}
			w.aws.Inject(fault)
			w.refresh()
			assert.Equal(t, []string{"a"}, names(w.cache.Snapshot()), "groups")
		})
	}
}

func TestWithoutFlagsTheClustersOwnGroupsAreSelected(t *testing.T) {
	const enabled, discovery = "k8s.io/cluster-autoscaler/enabled", "k8s.io/cluster-autoscaler/"
	groups := []fakeaws.AutoScalingGroup{
		tagged("by-discovery-tag", map[string]string{enabled: "true", discovery + "main": "owned"}),
		tagged("by-owner-tag", map[string]string{enabled: "true", ownedBy + "main": "owned"}),
		tagged("shared", map[string]string{enabled: "true", ownedBy + "main": "shared"}),
		tagged("other-cluster", map[string]string{enabled: "true", discovery + "other": "owned"}),
		tagged("not-enabled", map[string]string{discovery + "main": "owned", ownedBy + "main": "owned"}),
		tagged("enabled-only", map[string]string{enabled: ""}),
	}
	for _, tt := range []struct {
		cluster string
		want    []string
	}{
		{cluster: "main", want: []string{"by-discovery-tag", "by-owner-tag"}},
		{cluster: "", want: []string{"by-discovery-tag", "by-owner-tag", "enabled-only", "other-cluster", "shared"}},
	} {
		t.Run(tt.cluster, func(t *testing.T) {
			_, got := discoveredBy(t, ownership.JoinAny, false, ownership.Assumed(tt.cluster), groups...)
			assert.Empty(t, cmp.Diff(tt.want, got), "discovered groups (-want +got)")
		})
	}
}

func TestDroppedGroupLacksTheTagsOfTheNearestFlag(t *testing.T) {
	discovery, err := ownership.ParseDiscovery(nil, ownership.Assumed("main"))
	require.NoError(t, err)
	discovery.Join = ownership.JoinAny
	p := discovery.Dropped(&group.Group{Name: "a"}, time.Time{}, map[string]string{ownedBy + "main": "owned"})
	assert.Regexp(t, `: its tag k8s\.io/cluster-autoscaler/enabled is missing$`, p.Message)
	for key, value := range map[string]string{"k8s.io/cluster-autoscaler/enabled": "true", "k8s.io/cluster-autoscaler/main": "owned", ownedBy + "main": "owned", "team": "true"} {
		discovery := ownership.Discovery{Filters: []ownership.TagFilter{{{Key: key}}}}
		p := discovery.Dropped(&group.Group{Name: "a"}, time.Time{}, map[string]string{})
		assert.Containsf(t, p.Remedy, `"Value":"`+value+`"`, "the value at %s", key)
	}
}

// The --nodes flags name its zones alone, and the owner has taken these out.
func TestDroppedGroupLacksTheZoneOfItsFlag(t *testing.T) {
	discovery := named(t, "0:3:web/us-east-1a")
	require.False(t, discovery.Selects("web", []string{"us-east-1b", "us-east-1c"}, nil))
	p := discovery.Dropped(&group.Group{Name: "web"}, time.Time{}, map[string]string{})
	assert.Equal(t, "it is no longer served since 00:00:00 UTC: --nodes names none of its zones", p.Message)
	assert.Equal(t, "name the group, or one of its zones, with --nodes", p.Remedy)
}

func TestOurNameBeforeAnyGroupIsRead(t *testing.T) {
	for _, tt := range []struct {
		name, flag, stock, network string
		want                       launchspec.Statement
	}{
		{name: "by nothing"},
		{name: "by the flag", flag: "c", stock: "d", network: "e", want: launchspec.Statement{Cluster: "c", Source: "--asg-cluster-name"}},
		{name: "by the network", stock: "d", network: "e", want: launchspec.Statement{Cluster: "e", Source: "VPC CNI"}},
		{name: "not by the stock flag", stock: "d"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, ownership.NewIdentity(tt.flag, tt.stock).Early(tt.network), "our cluster")
		})
	}
}

func TestFailedStartReportsReasonOnOneLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 1, 3))
		w.aws.Inject(fakeaws.Fault{Action: "DescribeAutoScalingGroups", Code: "ServiceUnavailable"})
		for _, limit := range []time.Duration{0, 500 * time.Millisecond} { // before the first answer and after it
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			err := w.cache.Start(ctx)
			cancel()
			assert.Truef(t, errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "\n"), "within %v: %q", limit, err)
			assert.Truef(t, limit <= 0 || strings.Contains(err.Error(), "ServiceUnavailable"), "within %v: %q does not say what AWS answered", limit, err)
		}
	})
}

// Another replica may have credentials. A lone one shows by its restarts that it lacks them.
func TestStartWithoutPermissionEndsAfterAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 1, 3))
		for code, most := range map[string]time.Duration{"AccessDenied": 2 * time.Minute, "InvalidClientTokenId": 2 * time.Minute, "ServiceUnavailable": 5 * time.Minute} {
			w.aws.ClearFaults()
			w.aws.Inject(fakeaws.Fault{Action: "DescribeAutoScalingGroups", Code: code})
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			began := time.Now()
			err := w.cache.Start(ctx)
			cancel()
			require.ErrorContains(t, err, code)
			took := time.Since(began)
			assert.Truef(t, took >= most-time.Minute && took <= most, "%s: tried for %v", code, took)
		}
	})
}

// Its owner knows that it is gone. A group that lost a tag may have lost it by mistake.
func TestDeletedGroupIsShownForMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("deleted", 0, 0, 3), scalingGroup("untagged", 0, 0, 3)).started()
		w.must(w.aws.DeleteGroup("deleted"))
		w.must(w.aws.SetTags("untagged", map[string]*string{discoveryTag: nil}))
		w.waitWhile("AWS still has the group", func() bool { _, has := w.aws.Group("deleted"); return has })
		w.refresh()
		shown := func() []string { return foreign(w.cache.Snapshot()) }
		assert.ElementsMatch(t, []string{"deleted", "untagged"}, shown())
		for _, wait := range []time.Duration{11 * time.Minute, 40 * time.Minute} { // the alert for problems waits for 15 minutes
			time.Sleep(wait)
			w.refresh()
			assert.Equal(t, []string{"untagged"}, shown())
		}
		time.Sleep(10 * time.Minute)
		w.refresh()
		assert.Empty(t, shown(), "after an hour")
	})
}

// The second answer would show that a group is gone. A group that was asked for by name says nothing of the others in any case.
func TestFailedSecondLookDropsNoGroup(t *testing.T) {
	w := newWorld(t, scalingGroup("a", 0, 1, 9), scalingGroup("b", 0, 1, 9)).started()
	before := w.cache.Snapshot()
	w.calls.blank = 1
	w.aws.Inject(fakeaws.Fault{Action: "DescribeAutoScalingGroups", Code: "Throttling"})
	_, err := w.cache.Reread(t.Context(), "a")
	assert.Error(t, err)
	assert.Equal(t, names(before), names(w.cache.Snapshot()), "groups")
	assert.Equal(t, before.ReadAt, w.cache.Snapshot().ReadAt, "the last reading of all groups")
}

// AWS may answer with an empty page, and its search by tags may lag.
func TestGroupOutlivesOneEmptyAnswer(t *testing.T) {
	t.Parallel()
	for _, discovery := range []ownership.Discovery{discovered, {Named: []group.Named{{Name: "a", MaxSize: 9}}}} {
		w := newWorldOf(t, having(scalingGroup("a", 0, 1, 9), scalingGroup("b", 0, 1, 9)), discovery).started()
		before := names(w.cache.Snapshot())
		w.calls.blank = 1
		w.refresh()
		assert.Equal(t, before, names(w.cache.Snapshot()), "groups after an empty page of the whole reading")
		asg.MakeStale(w.cache, "a")
		w.calls.blank = 1
		w.increase(1)
		assert.Zero(t, w.calls.blank, "empty answers that the increase did not read")
		w.must(w.aws.DeleteGroup("a"))
		w.waitWhile("AWS still has the group", func() bool { _, has := w.aws.Group("a"); return has })
		w.refresh()
		assert.NotContains(t, names(w.cache.Snapshot()), "a", "groups after a deletion")
		gone := w.cache.Snapshot().Foreign()
		if assert.Len(t, gone, 1, "groups that are shown as dropped") {
			assert.Contains(t, gone[0].Problems[0].Message, "AWS has no group of this name any more")
		}
	}
}
