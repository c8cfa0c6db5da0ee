package asg_test

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsclients"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// clusterIn reads user data of the form "join <cluster>".
func clusterIn(userData string) string {
	text, _ := base64.StdEncoding.DecodeString(userData)
	name, _ := strings.CutPrefix(string(text), "join ")
	return name
}

const ownedBy = "kubernetes.io/cluster/"

// launchTemplates state a cluster by user data, by instance tags, by both or by neither.
var launchTemplates = []fakeaws.LaunchTemplate{
	workers("m5.large"),
	{Name: "joins-a", Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-0abc", InstanceType: "m5.large", UserData: "join a"}}},
	{Name: "joins-b", Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-0abc", InstanceType: "m5.large", UserData: "join b"}}},
	{Name: "tags-b", Versions: []fakeaws.LaunchTemplateVersion{
		{ImageID: "ami-0abc", InstanceType: "m5.large", Tags: map[string]string{ownedBy + "b": "owned"}},
		{ImageID: "ami-0abc", InstanceType: "m5.large"}}},
}

// ofCluster is a group with desired instances that start from the template, and with tags beside the one of discovery.
func ofCluster(name, template string, desired int, tags ...string) fakeaws.AutoScalingGroup {
	g := scalingGroup(name, 0, desired, 5)
	g.LaunchTemplate.Name = template
	for at := 0; at < len(tags); at += 2 {
		g.Tags[tags[at]] = tags[at+1]
	}
	return g
}

// sharedAccount has groups of several clusters under one discovery tag. The Cache has not read yet.
func sharedAccount(t *testing.T, cluster string, groups ...fakeaws.AutoScalingGroup) *world {
	t.Helper()
	w := newWorldOf(t, fakeaws.Config{Delays: quick, LaunchTemplates: launchTemplates, AutoScalingGroups: groups,
		LaunchConfigurations: []fakeaws.LaunchConfiguration{{Name: "old-b", ImageID: "ami-0abc", InstanceType: "m5.large", UserData: "join b"}}},
		discovered)
	clients, err := awsclient.New(t.Context(), awsclients.Options(w.aws))
	require.NoError(t, err)
	return w.with(func(o *asg.Options) {
		o.Cluster, o.ClusterInUserData, o.Instances = cluster, clusterIn, clients.EC2
	})
}

// members are the instances that AWS lists in the group, in its order, whosever the group is.
func (w *world) members(name string) []string {
	w.t.Helper()
	state, ok := w.aws.Group(name)
	require.Truef(w.t, ok, "AWS has no group %q", name)
	var ids []string
	for _, i := range state.Instances {
		ids = append(ids, i.ID)
	}
	return ids
}

// isForeign fails unless the error says that the group is another cluster's.
func isForeign(t *testing.T, err error) (other *ownership.OtherClusterError) {
	t.Helper()
	require.ErrorAs(t, err, &other)
	return other
}

// keeps fails unless the group has the instances alone, and as many are desired.
func (w *world) keeps(name string, ids []string) {
	w.t.Helper()
	assert.Equalf(w.t, ids, w.members(name), "instances of %s", name)
	assert.Equalf(w.t, len(ids), w.desired(name), "desired capacity of %s", name)
}

func foreign(s *group.Snapshot) []string {
	var all []string
	for _, g := range s.Foreign() {
		all = append(all, g.Name)
	}
	return all
}

func TestGroupStatesItsCluster(t *testing.T) {
	t.Parallel()
	configured := ofCluster("g", "", 0)
	configured.LaunchTemplate, configured.LaunchConfiguration = nil, "old-b"
	override := func(base string) fakeaws.AutoScalingGroup {
		return mixing(ofCluster("g", base, 0), fakeaws.Override{InstanceType: "m5.large",
			LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "joins-b", Version: "1"}})
	}
	for _, tt := range []struct {
		name  string
		group fakeaws.AutoScalingGroup
		want  []launchspec.Statement
	}{
		{name: "nowhere", group: ofCluster("g", "workers", 0)},
		{name: "by the EKS tag", group: ofCluster("g", "workers", 0, "eks:cluster-name", "b"), want: []launchspec.Statement{{Cluster: "b", Source: "tag eks:cluster-name"}}},
		{name: "by the EKS system tag", group: ofCluster("g", "workers", 0, "aws:eks:cluster-name", "b"),
			want: []launchspec.Statement{{Cluster: "b", Source: "tag aws:eks:cluster-name"}}},
		{name: "by the owner tag", group: ofCluster("g", "workers", 0, ownedBy+"b", "owned"), want: []launchspec.Statement{{Cluster: "b", Source: "tag " + ownedBy + "b"}}},
		{name: "not by a shared tag", group: ofCluster("g", "workers", 0, ownedBy+"b", "shared")},
		{name: "not by a discovery tag", group: ofCluster("g", "workers", 0, "k8s.io/cluster-autoscaler/b", "owned")},
		{name: "not by an empty name", group: ofCluster("g", "workers", 0, "eks:cluster-name", "", ownedBy, "owned")},
		{name: "by user data", group: ofCluster("g", "joins-b", 0), want: []launchspec.Statement{{Cluster: "b", Source: "user data"}}},
		{name: "by user data of a launch configuration", group: configured, want: []launchspec.Statement{{Cluster: "b", Source: "user data"}}},
		{name: "by tags of instances", group: ofCluster("g", "tags-b", 0), want: []launchspec.Statement{{Cluster: "b", Source: "launch template tag " + ownedBy + "b"}}},
		{name: "by the template of an override alone", group: override("joins-a"), want: []launchspec.Statement{{Cluster: "b", Source: "user data"}}},
		{name: "twice", group: ofCluster("g", "joins-b", 0, "eks:cluster-name", "a"),
			want: []launchspec.Statement{{Cluster: "a", Source: "tag eks:cluster-name"}, {Cluster: "b", Source: "user data"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := sharedAccount(t, "", tt.group).started()
			groups := append(w.cache.Snapshot().Groups(), w.cache.Snapshot().Foreign()...)
			assert.Empty(t, cmp.Diff(tt.want, groups[0].Stated), "statements (-want +got)")
		})
	}
}

func TestOtherClustersGroupIsHidden(t *testing.T) {
	w := sharedAccount(t, "a",
		ofCluster("ours", "joins-a", 1, ownedBy+"a", "owned"), ofCluster("silent", "workers", 1), ofCluster("using", "workers", 1, ownedBy+"b", "shared"),
		ofCluster("by-tag", "workers", 1, ownedBy+"b", "owned"), ofCluster("by-user-data", "joins-b", 1), ofCluster("in-doubt", "joins-b", 1, ownedBy+"a", "owned"),
		ofCluster("other-case", "workers", 1, "eks:cluster-name", "A")).started()
	assert.Empty(t, cmp.Diff([]string{"ours", "silent", "using"}, names(w.cache.Snapshot())), "groups (-want +got)")
	assert.Empty(t, cmp.Diff([]string{"by-tag", "by-user-data", "in-doubt", "other-case"}, foreign(w.cache.Snapshot())),
		"groups of other clusters (-want +got)")
	for _, g := range w.cache.Snapshot().Foreign() {
		i, _ := w.cache.Snapshot().Instance(g.Instances[0].ID)
		assert.Nilf(t, i, "%s: its instance is in the snapshot", g.Name)
		if len(g.Problems) != 1 || g.Problems[0].Reason != ownership.ReasonOtherCluster || g.Problems[0].Blocks || !strings.Contains(g.Problems[0].Remedy, "--asg-cluster-name") {
			t.Errorf("%s: problems %+v, want one that names the flag", g.Name, g.Problems)
		}
		if got := g.Problems[0].Message; !strings.Contains(got, g.Stated[len(g.Stated)-1].String()) || !strings.Contains(got, `ours is "a"`) {
			t.Errorf("%s: message %q, want what it states and what is ours", g.Name, got)
		}
	}
}

func TestContradictoryGroupIsAlwaysHidden(t *testing.T) {
	for _, ours := range []string{"", "a", "b", "c"} {
		w := sharedAccount(t, ours, ofCluster("in-doubt", "joins-b", 1, ownedBy+"a", "owned")).started()
		assert.Lenf(t, foreign(w.cache.Snapshot()), 1, "named %q: groups of other clusters, want the one", ours)
	}
}

func TestNoWriteReachesOtherClusters(t *testing.T) {
	w := sharedAccount(t, "a", ofCluster("theirs", "joins-b", 2)).started()
	ids := w.members("theirs")
	for name, write := range map[string]func() error{
		"increase": func() error { return w.cache.Increase(t.Context(), "theirs", 1) },
		"increase of nodes": func() error {
			w.cache.SeeCluster(t.Context(), ownership.Evidence{Nodes: ids})
			return w.cache.Increase(t.Context(), "theirs", 1)
		},
		"atomic increase": func() error { return w.cache.IncreaseAtomically(t.Context(), "theirs", "", 1) },
		"withdrawal":      func() error { _, err := w.cache.Withdraw(t.Context(), "theirs", 1); return err },
		"termination":     func() error { return w.cache.Terminate(t.Context(), "theirs", ids) },
		"replacement":     func() error { return w.cache.Replace(t.Context(), "theirs", ids[:1]) },
	} {
		assert.Equalf(t, "theirs", isForeign(t, write()).Group, "group of the error of the %s", name)
	}
	w.keeps("theirs", ids)
}

// The group is ours when the write begins. The reading that the write makes shows what it has become.
func TestGroupThatChangesClusterIsRefusedAtWrite(t *testing.T) {
	t.Parallel()
	for _, mode := range []asg.LaunchMode{asg.LaunchAuto, asg.LaunchDesiredCapacity} {
		for name, write := range map[string]func(*world, []string) error{
			"increase": func(w *world, _ []string) error { return w.cache.Increase(t.Context(), "g", 1) },
			"atomic increase": func(w *world, _ []string) error {
				return w.cache.IncreaseAtomically(t.Context(), "g", "", 1)
			},
			"termination of one": func(w *world, ids []string) error {
				return w.cache.Terminate(t.Context(), "g", ids[:1])
			},
			"termination of several": func(w *world, ids []string) error { return w.cache.Terminate(t.Context(), "g", ids) },
			"replacement":            func(w *world, ids []string) error { return w.cache.Replace(t.Context(), "g", ids) },
		} {
			t.Run(string(mode)+"/"+name, func(t *testing.T) {
				w := sharedAccount(t, "a", ofCluster("g", "joins-a", 2)).with(func(o *asg.Options) { o.LaunchMode = mode }).started()
				ids := w.members("g")
				w.cache.SeeCluster(t.Context(), ownership.Evidence{Nodes: ids})
				owner := "owned"
				w.must(w.aws.SetTags("g", map[string]*string{ownedBy + "b": &owner}))
				asg.MakeStale(w.cache, "g")
				err := write(w, ids)
				var other *ownership.OtherClusterError
				assert.Truef(t, errors.As(err, &other) || (mode == asg.LaunchDesiredCapacity && errors.Is(err, asg.ErrNotAtomic)),
					"error %v, want an OtherClusterError", err)
				w.keeps("g", ids)
			})
		}
	}
}

func TestOurNameIsSettled(t *testing.T) {
	t.Parallel()
	groups := []fakeaws.AutoScalingGroup{ofCluster("a1", "joins-a", 3), ofCluster("b1", "joins-b", 3), ofCluster("silent", "workers", 3),
		ofCluster("in-doubt", "joins-b", 3, ownedBy+"a", "owned")}
	for _, tt := range []struct {
		name        string
		flag, stock string
		nodes       map[string]int // nodes of ours, by group
		network     string
		want        launchspec.Statement
	}{
		{name: "by nothing"},
		{name: "by the flag before all else", flag: "c", stock: "d", nodes: map[string]int{"a1": 3}, network: "e", want: launchspec.Statement{Cluster: "c", Source: "--asg-cluster-name"}},
		{name: "by its nodes' groups", stock: "d", nodes: map[string]int{"a1": 1}, network: "e", want: launchspec.Statement{Cluster: "a", Source: "groups of its nodes"}},
		{name: "by the majority of its nodes", nodes: map[string]int{"a1": 1, "b1": 2}, want: launchspec.Statement{Cluster: "b", Source: "groups of its nodes"}},
		{name: "not by half of its nodes", nodes: map[string]int{"a1": 2, "b1": 2}},
		{name: "not by nodes of silent or disagreeing groups", nodes: map[string]int{"silent": 3, "in-doubt": 3}},
		{name: "by few nodes among silent ones", nodes: map[string]int{"silent": 3, "b1": 1}, want: launchspec.Statement{Cluster: "b", Source: "groups of its nodes"}},
		{name: "by the network where nodes do not settle it", stock: "d", nodes: map[string]int{"a1": 1, "b1": 1}, network: "e",
			want: launchspec.Statement{Cluster: "e", Source: "VPC CNI"}},
		{name: "by the stock flag last", stock: "d", nodes: map[string]int{"silent": 1}, want: launchspec.Statement{Cluster: "d", Source: "--cluster-name"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := sharedAccount(t, tt.flag, groups...).with(func(o *asg.Options) { o.StockCluster = tt.stock }).started()
			var nodes []string
			for name, n := range tt.nodes {
				nodes = append(nodes, w.members(name)[:n]...)
			}
			w.cache.SeeCluster(t.Context(), ownership.Evidence{Nodes: nodes, Network: tt.network})
			assert.Equal(t, tt.want, asg.Cluster(w.cache), "our cluster")
		})
	}
}

func TestUnreadGroupsPreventMinorityName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sharedAccount(t, "", ofCluster("mistagged", "workers", 1, ownedBy+"b", "owned"), ofCluster("a1", "joins-a", 3))
		fault := w.aws.Inject(fakeaws.Fault{Action: "DescribeLaunchTemplateVersions", Code: "ServiceUnavailable"})
		w.started()
		nodes := slices.Concat(w.members("mistagged"), w.members("a1"))
		w.cache.SeeCluster(t.Context(), ownership.Evidence{Nodes: nodes})
		assert.Zero(t, asg.Cluster(w.cache), "our cluster while most of its nodes are in an unread group")
		w.aws.ClearFaults(fault)
		w = w.with(nil).started()
		w.cache.SeeCluster(t.Context(), ownership.Evidence{Nodes: nodes})
		assert.Equal(t, "a", asg.Cluster(w.cache).Cluster, "our cluster")
	})
}

func TestStockFlagWaitsForClusterEvidence(t *testing.T) {
	w := sharedAccount(t, "", ofCluster("a1", "joins-a", 1)).with(func(o *asg.Options) { o.StockCluster = "kubernetes" }).started()
	assert.Empty(t, foreign(w.cache.Snapshot()), "groups of other clusters before the cluster was seen, want none")
	w.cache.SeeCluster(t.Context(), ownership.Evidence{Nodes: w.members("a1")})
	assert.Equal(t, "a", asg.Cluster(w.cache).Cluster, "our cluster")
}

func TestForeignGroupStaysHiddenWithoutTemplate(t *testing.T) {
	theirs := ofCluster("theirs", "joins-b", 1)
	theirs.LaunchTemplate.Version = "$Latest"
	now := clockAt(time.Minute)
	w := sharedAccount(t, "a", theirs).with(at(now)).started()
	w.aws.Inject(fakeaws.Fault{Action: "DescribeLaunchTemplateVersions", Code: "InvalidLaunchTemplateName.NotFoundException"})
	now.Step(time.Hour)
	w.refresh()
	asg.Resolve(w.cache, t.Context())
	assert.Len(t, foreign(w.cache.Snapshot()), 1, "groups of other clusters, want the one still")
}

func TestUnreadTagsCountAsUnsent(t *testing.T) {
	w := sharedAccount(t, "a", ofCluster("g", "workers", 2)).started()
	ids := w.members("g")
	w.aws.Inject(fakeaws.Fault{Action: "DescribeInstances", Code: "InternalError", Times: 1})
	w.aws.ResetCalls()
	err := w.cache.Terminate(t.Context(), "g", ids)
	assert.Empty(t, cmp.Diff(slices.Sorted(slices.Values(ids)), staying(t, err)), "instances that stay (-want +got)")
	assert.Zero(t, w.aws.Calls()[readCall]+w.aws.Calls()[terminateCall], "terminations, and looks for one that was not made")
	w.must(w.cache.Terminate(t.Context(), "g", ids))
	assert.Equal(t, 1, w.aws.Calls()[terminateCall], "calls for both instances")
}

func TestSettledNameOutlivesMajority(t *testing.T) {
	w := sharedAccount(t, "", ofCluster("a1", "joins-a", 2), ofCluster("b1", "joins-b", 3)).started()
	a, b := w.members("a1"), w.members("b1")
	for _, step := range []struct {
		nodes []string
		want  string
	}{
		{nodes: slices.Concat(a, b[:1]), want: "a"},
		{nodes: slices.Concat(a[:1], b), want: "a"},
		{nodes: nil, want: "a"}, // a cluster without nodes is the same still
		{nodes: b, want: "b"},
	} {
		w.cache.SeeCluster(t.Context(), ownership.Evidence{Nodes: step.nodes})
		assert.Equalf(t, step.want, asg.Cluster(w.cache).Cluster, "our cluster with nodes %q", step.nodes)
	}
}

func TestSettledNameHidesAndShowsGroups(t *testing.T) {
	w := sharedAccount(t, "", ofCluster("a1", "joins-a", 1), ofCluster("b1", "joins-b", 1)).started()
	ctx, said := logged(t, 0)
	require.Len(t, names(w.cache.Snapshot()), 2, "groups, want both while our name is not known")
	w.cache.SeeCluster(ctx, ownership.Evidence{})
	for range 2 {
		w.cache.SeeCluster(ctx, ownership.Evidence{Nodes: w.members("a1")})
	}
	assert.Empty(t, cmp.Diff([]string{"b1"}, foreign(w.cache.Snapshot())), "groups of other clusters (-want +got)")
	assert.Equalf(t, 1, strings.Count(said(), "Settled the name"),
		"times the log says that the name is settled, want once:\n%s", said())
	assert.True(t, w.wakes(), "nobody hears that there are other groups now")
	require.NoError(t, w.aws.PutLaunchTemplate(fakeaws.LaunchTemplate{Name: "joins-b2", Versions: []fakeaws.LaunchTemplateVersion{
		{ImageID: "ami-0abc", InstanceType: "m5.large", UserData: "join a"}}}))
	w.must(w.aws.EditGroup("b1", fakeaws.GroupEdit{LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "joins-b2", Version: "1"}}))
	w.must(w.cache.Refresh(ctx))
	assert.Len(t, foreign(w.cache.Snapshot()), 1, "groups of other clusters before the new template was read, want the one still")
	asg.Resolve(w.cache, ctx)
	assert.Empty(t, foreign(w.cache.Snapshot()), "groups of other clusters, want none any more")
}

// A name in the VPC CNI may be another cluster's, as in a copied manifest.
func TestStrangersStayUntilOurNameIsKnown(t *testing.T) {
	for name, network := range map[string]string{"by nothing": "", "by the network alone": "a"} {
		t.Run(name, func(t *testing.T) {
			w := sharedAccount(t, "", ofCluster("g", "joins-a", 3), ofCluster("silent", "workers", 1)).
				with(func(o *asg.Options) { o.LaunchMode, o.Discovery.Assumed = asg.LaunchAuto, network != "" }).started()
			if network != "" {
				w.cache.SeeCluster(t.Context(), ownership.Evidence{Network: network})
			}
			ids := w.members("g")
			w.must(w.cache.Increase(t.Context(), "g", 1))
			launched := w.ids("g")[len(ids):]
			err := w.cache.Terminate(t.Context(), "g", ids[:1])
			_ = isForeign(t, err)
			assert.ErrorContains(t, err, "--asg-cluster-name")
			assert.NoError(t, w.cache.Terminate(t.Context(), "silent", w.members("silent")), "terminate in a group that states nothing")
			assert.NoError(t, w.cache.Terminate(t.Context(), "g", launched), "terminate an instance that we launched")
			w.waitWhile("the instance that we launched is still there", func() bool { return slices.Contains(w.members("g"), launched[0]) })
			assert.ElementsMatch(t, ids, w.members("g"), "instances")
			w.cache.SeeCluster(t.Context(), ownership.Evidence{Network: network, Nodes: ids[1:]})
			w.must(w.cache.Terminate(t.Context(), "g", ids))
			w.waitWhile("the instances are still there", func() bool { return len(w.members("g")) > 0 })
		})
	}
}

func TestStrangersStayUntilTemplateIsRead(t *testing.T) {
	for _, tt := range []struct {
		name string
		code string // with which AWS answers to DescribeLaunchTemplateVersions
		stay bool
		why  string // a part of the error
	}{
		{name: "throttled", code: "Throttling", stay: true, why: "has not been read yet"},
		{name: "gone", code: "InvalidLaunchTemplateName.NotFoundException", stay: true, why: "give the group one that does"},
		{name: "denied", code: "AccessDenied"},
		{name: "not in the endpoint", code: "InvalidAction"},
		{name: "answered"},
	} {
		t.Run(tt.name, bubbled(func(t *testing.T) {
			w := sharedAccount(t, "a", ofCluster("g", "joins-b", 2))
			if tt.code != "" {
				w.aws.Inject(fakeaws.Fault{Action: "DescribeLaunchTemplateVersions", Code: tt.code})
			}
			w.started()
			w.refresh() // a second reading of the group says no more about its template
			ids := w.members("g")
			w.cache.SeeCluster(t.Context(), ownership.Evidence{Nodes: ids[:1]})
			err := w.cache.Terminate(t.Context(), "g", ids[1:])
			var other *ownership.OtherClusterError
			assert.Truef(t, errors.As(err, &other) == (tt.stay || tt.code == ""), "terminate an instance that is no node: %v", err)
			if tt.stay {
				time.Sleep(time.Minute)
				w.aws.ResetCalls()
				err = w.cache.Terminate(t.Context(), "g", ids[1:])
				assert.ErrorContains(t, err, tt.why, "a minute later")
				assert.Empty(t, w.aws.Calls(), "calls")
			}
			err = w.cache.Terminate(t.Context(), "g", ids[:1])
			assert.Truef(t, errors.As(err, &other) == (tt.code == ""), "terminate a node: %v", err)
		}))
	}
}

func TestForeignTaggedInstanceStays(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		nodes bool
		code  string // with which AWS answers to DescribeInstances
		stays bool
		calls int
	}{
		{name: "no node", stays: true, calls: 3}, // one for both, one for each
		{name: "a node of ours", nodes: true},
		{name: "its tags may not be read", code: "AccessDenied", calls: 1},
		{name: "EC2 does not support the call", code: "UnsupportedOperation", calls: 1},
		{name: "an endpoint does not take the filter", code: "InvalidFilter", calls: 1},
		{name: "an endpoint refuses without a code", code: "UnknownError", calls: 1},
		{name: "our clock is wrong", code: "RequestExpired", stays: true, calls: 1},
		{name: "its tags cannot be read", code: "InternalError", stays: true, calls: 1},
		{name: "our credentials are refused", code: "InvalidIdentityToken", stays: true, calls: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := sharedAccount(t, "a", ofCluster("g", "tags-b", 1)).with(nil)
			w.must(w.aws.EditGroup("g", fakeaws.GroupEdit{LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "tags-b", Version: "2"}}))
			w.must(w.aws.SetDesired("g", 2))
			w.eventuallyInService("g", 2)
			w.started()
			ids := w.members("g")
			if tt.nodes {
				w.cache.SeeCluster(t.Context(), ownership.Evidence{Nodes: ids})
			}
			if tt.code != "" {
				w.aws.Inject(fakeaws.Fault{Action: "DescribeInstances", Code: tt.code})
			}
			err := w.cache.Terminate(t.Context(), "g", ids)
			left := func(at int) bool { return slices.Contains(w.members("g"), ids[at]) }
			w.waitWhile("an instance that has to go is still there", func() bool {
				return left(1) && (tt.code == "" || !tt.stays) || left(0) && !tt.stays
			})
			assert.Equalf(t, tt.stays, err != nil, "error: %v", err)
			assert.Equal(t, tt.stays, left(0), "the instance of the older version stays")
			if tt.code != "" && tt.stays {
				return
			}
			assert.Equal(t, tt.calls, w.aws.Calls()["DescribeInstances"], "calls of DescribeInstances")
		})
	}
}

func TestInstanceIsTerminatedWithoutEC2WhereItsGroupStatesOurCluster(t *testing.T) {
	for _, tt := range []struct {
		name, cluster string
		tags          []string
		shown         bool // EC2 has shown tags before
		ends          bool
	}{
		{name: "by a tag", cluster: "a", tags: []string{ownedBy + "a", "owned"}, ends: true},
		{name: "by a tag, and EC2 answered before", cluster: "a", tags: []string{ownedBy + "a", "owned"}, shown: true},
		{name: "not", cluster: "a"},
		{name: "maybe", tags: []string{ownedBy + "a", "owned"}},
		{name: "and another one", cluster: "a", tags: []string{ownedBy + "a", "owned", "eks:cluster-name", "b"}},
	} {
		t.Run(tt.name, bubbled(func(t *testing.T) {
			w := sharedAccount(t, tt.cluster, ofCluster("g", "workers", 3, tt.tags...))
			if tt.shown {
				w.started()
				w.must(w.cache.Terminate(t.Context(), "g", w.members("g")[:1]))
			}
			w.aws.Inject(fakeaws.Fault{Service: "ec2", Code: "AuthFailure"})
			w.started()
			ids := w.members("g")
			terminate := func() bool {
				w.refresh()
				asg.Resolve(w.cache, t.Context())
				return w.cache.Terminate(t.Context(), "g", ids[1:]) == nil
			}
			for range 59 {
				assert.False(t, terminate(), "the instance is terminated within an hour")
				time.Sleep(time.Minute)
			}
			time.Sleep(5 * time.Minute) // the first look was after some for the launch template
			assert.Equal(t, tt.ends, terminate(), "the instance is terminated after an hour")
		}))
	}
}

func TestStrangersStayWhileTheTemplateIsNew(t *testing.T) {
	w := sharedAccount(t, "a", ofCluster("g", "joins-a", 2)).started()
	ids := w.members("g")
	w.must(w.aws.EditGroup("g", fakeaws.GroupEdit{LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "workers", Version: "1"}}))
	w.refresh()
	_ = isForeign(t, w.cache.Terminate(t.Context(), "g", ids[:1])) // before the new template was read
	asg.Resolve(w.cache, t.Context())
	w.must(w.cache.Terminate(t.Context(), "g", ids[:1]))
}

func TestTaggedStrangerStaysWhileOurNameIsUnknown(t *testing.T) {
	w := sharedAccount(t, "", ofCluster("g", "tags-b", 2))
	w.must(w.aws.EditGroup("g", fakeaws.GroupEdit{LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "tags-b", Version: "2"}}))
	w.started()
	ids := w.members("g")
	_ = isForeign(t, w.cache.Terminate(t.Context(), "g", ids))
	w.keeps("g", ids)
}

func TestForeignMovingGroupCostsNoReading(t *testing.T) {
	w := sharedAccount(t, "a", ofCluster("theirs", "joins-b", 1))
	w.aws.AddShortage(fakeaws.Shortage{})
	w.must(w.aws.SetDesired("theirs", 3))
	w.started()
	require.True(t, w.cache.Snapshot().Foreign()[0].Missing() != 0, "the group is not short of instances")
	w.aws.ResetCalls()
	asg.ReadMoving(w.cache, t.Context())
	assert.Empty(t, w.aws.Calls(), "calls, want none")
}
