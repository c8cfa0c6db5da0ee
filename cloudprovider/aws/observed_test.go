package aws_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"
	"weak"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestGroupWhoseTagsComeBackKeepsObservedFacts(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 2, 5, nil))
	real := w.Members("a", map[string]string{"image.example.com/team": "dsp"})
	w.Cluster.Put(t, real...)
	w.NextLoop()
	w.Cluster.Drop(t, real...)
	w.Emptied("a")
	tag := "true"
	for _, value := range []*string{nil, &tag} {
		require.NoError(t, w.AWS.SetTags("a", map[string]*string{awsworld.EnabledTag: value}))
		w.Reread()
		w.NextLoop()
		require.Equal(t, value == nil, len(w.IDs()) == 0, "no group is discovered")
	}
	assert.Equal(t, "dsp", w.promised("a").Labels["image.example.com/team"])
	assert.Equal(t, nodetemplate.SourceLearnt, w.View().Template("a").Sources.Labels["image.example.com/team"].Kind, "the label is said to come from")
}

func TestALabelThatMostNodesLackIsNotPromised(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 3, 5, nil))
	nodes := w.Cluster
	real := w.Members("a", map[string]string{"team": "dsp", "maintenance": "tonight"})
	delete(real[2].Labels, "maintenance")
	nodes.Put(t, real...)
	w.NextLoop()
	require.Equal(t, "tonight", w.promised("a").Labels["maintenance"], "label while most nodes that were seen have it: this proves nothing")
	changed := real[1].DeepCopy()
	delete(changed.Labels, "maintenance")
	nodes.Put(t, changed)
	w.NextLoop()
	nodes.Drop(t, real...)
	w.NextLoop()
	got := w.promised("a").Labels
	assert.Truef(t, got["team"] == "dsp" && got["maintenance"] == "", "labels are %v, want those that most nodes carried", got)
}

func TestHandmadeLabelOnLastNodeIsNotPromised(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 2, 5, nil))
	nodes := w.Cluster
	real := w.Members("a", map[string]string{"team": "dsp"})
	nodes.Put(t, real...)
	w.NextLoop()
	nodes.Drop(t, real[0])
	last := real[1].DeepCopy()
	last.Labels["debug"] = "by-hand"
	nodes.Put(t, last)
	w.NextLoop()
	nodes.Drop(t, last)
	w.Emptied("a")
	got := w.promised("a").Labels
	assert.Truef(t, got["team"] == "dsp" && got["debug"] == "", "labels are %v, want what both nodes carried alone", got)
}

func TestImplausibleNodeIsReportedAndIgnored(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	nodes := w.Cluster
	before := w.promised("a").Status.Allocatable
	broken := w.Members("a", nil)[0]
	broken.Status.Capacity["memory"], broken.Status.Allocatable["memory"] = resource.MustParse("524288Ki"), resource.MustParse("400000Ki")
	nodes.Put(t, broken)
	w.NextLoop()
	problems := w.View().Template("a").Problems
	if !slices.ContainsFunc(problems, func(p nodetemplate.Problem) bool {
		return p.Reason == nodetemplate.ReasonImplausibleNode && p.Key == broken.Name
	}) {
		t.Errorf("problems %v, want one with the node", problems)
	}
	nodes.Drop(t, broken)
	w.Emptied("a")
	assert.Empty(t, cmp.Diff(before, w.promised("a").Status.Allocatable), "allocatable after a broken node (-before +after)")
}

// TestWhatWasLearntAges looks at nodeFacts alone, to choose the time.
func TestWhatWasLearntAges(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 2, 5, nil))
	nodes := w.Cluster
	real, snapshot, start := w.Members("a", nil), w.Cache.Snapshot(), time.Now()
	l := aws.NewNodeFacts(w.NodeLister(), instancetypes.Embedded)
	less := real[0].DeepCopy()
	less.Status.Capacity["memory"], less.Status.Allocatable["memory"] = resource.MustParse("7800000Ki"), resource.MustParse("7100000Ki")
	nodes.Put(t, less)
	l.Learn(snapshot, start)
	first := l.Of("a")
	nodes.Drop(t, less)
	l.Learn(snapshot, start.Add(time.Minute))
	assert.True(t, first != nil && first.Equal(l.Of("a")), "what a node showed is not known when it is gone")
	nodes.Put(t, real[1])
	news := l.Learn(snapshot, start.Add(2*time.Minute))
	assert.True(t, news && !l.Of("a").Equal(first), "the new node does not count before the one that is gone")
	nodes.Drop(t, real[1])
	l.Learn(snapshot, start.Add(3*time.Minute))
	assert.True(t, !l.Learn(snapshot, start.Add(aws.DeletedFor)) && l.Of("a") != nil, "forgotten early")
	news = l.Learn(snapshot, start.Add(aws.DeletedFor+2*time.Hour))
	assert.True(t, news && l.Of("a") == nil, "still known of nodes that have been gone for long")
	nodes.Put(t, real[1])
	assert.True(t, l.Learn(snapshot, start.Add(aws.DeletedFor+3*time.Hour)) && l.Of("a") != nil, "not learnt again")
}

func TestNewestDeletedNodesCount(t *testing.T) {
	k, now := &aws.GroupNodeFacts{}, time.Now()
	for i := range aws.MaxDeleted + 3 {
		k.Remember(nodetemplate.Observe(awsworld.M5Large(fmt.Sprint("n", i), "", nil), "m5.large", now), now)
	}
	k.Remember(nodetemplate.Observe(awsworld.M5Large("n5", "", nil), "m5.large", now), now)
	names := k.Deleted()
	assert.Len(t, names, aws.MaxDeleted)
	assert.Equal(t, [2]string{"n3", "n5"}, [2]string{names[0], names[len(names)-1]}, "first and last")
}

func TestANodeThatIsNotSettledTeachesNothingYet(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	nodes := w.Cluster
	learnt := func() bool {
		return w.View().Template("a").Sources.Allocatable["memory"].Kind == nodetemplate.SourceLearnt
	}
	young := w.Members("a", nil)[0]
	young.Status.Conditions[0].LastTransitionTime = metav1.NewTime(time.Now().Add(-59 * time.Second))
	nodes.Put(t, young)
	w.NextLoop()
	assert.False(t, learnt(), "a node that became Ready just now has taught something")
	w.waitWhile("nothing learnt", func() bool { w.promised("a"); return !learnt() }) // the node object does not change any more
}

// TestWhatHoldsForAnotherLaunchIsForgotten looks at nodeFacts alone, to step from one Snapshot to another.
func TestWhatHoldsForAnotherLaunchIsForgotten(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	nodes := w.Cluster
	real := w.Members("a", map[string]string{"team": "dsp"})
	snapshot := w.Cache.Snapshot()
	for _, tt := range []struct {
		name   string
		change func(*group.Group, *launchspec.LaunchSpec, *corev1.Node)
		want   bool // still known
	}{
		{name: "another reading of the same", change: func(g *group.Group, _ *launchspec.LaunchSpec, _ *corev1.Node) { g.DesiredCapacity = 3 }, want: true},
		{name: "another version", change: func(g *group.Group, l *launchspec.LaunchSpec, _ *corev1.Node) {
			l.Origins = []string{"lt-1 version 2"}
			g.LaunchSpec = l
		}},
		{name: "the same version, other facts about it", change: func(g *group.Group, l *launchspec.LaunchSpec, _ *corev1.Node) { g.LaunchSpec = l }, want: true},
		{name: "an image named by a parameter", change: func(g *group.Group, l *launchspec.LaunchSpec, _ *corev1.Node) { l.Origins = nil; g.LaunchSpec = l }},
		{name: "nothing known any more", change: func(g *group.Group, _ *launchspec.LaunchSpec, _ *corev1.Node) { g.LaunchSpec = nil }},
		{name: "one more type", change: func(g *group.Group, l *launchspec.LaunchSpec, _ *corev1.Node) {
			l.Types = append([]launchspec.Type{{Name: "m5a.large"}}, l.Types...)
			g.LaunchSpec = l
		}, want: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			nodes.Put(t, real...)
			l := aws.NewNodeFacts(w.NodeLister(), instancetypes.Embedded)
			require.True(t, l.Learn(snapshot, time.Now()) && l.Of("a") != nil, "nothing learnt")
			g := *snapshot.Group("a")
			g.Instances = append([]group.Instance(nil), g.Instances...)
			launch, changed := *g.LaunchSpec, real[0].DeepCopy()
			tt.change(&g, &launch, changed)
			nodes.Put(t, changed)
			news := l.Learn(snapshot.With(&g), time.Now())
			got := l.Of("a") != nil
			assert.Truef(t, got == tt.want && news != tt.want, "still known: %t, news: %t; want it known: %t", got, news, tt.want)
		})
	}
	l := aws.NewNodeFacts(w.NodeLister(), instancetypes.Embedded)
	l.Learn(snapshot, time.Now())
	l.Learn(&group.Snapshot{}, time.Now())
	assert.True(t, l.Groups() <= 0 && l.Of("a") == nil, "a group that is gone is remembered")
	l.Learn(snapshot, time.Now())
	assert.NotNil(t, l.Of("a"), "nothing is learnt of a group that came back")
}

// A node is rarely written, and a loop of a large cluster has another Snapshot every two seconds.
func TestUnchangedNodeKeepsNoOldSnapshot(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	w.Cluster.Put(t, w.Members("a", nil)...)
	l := aws.NewNodeFacts(w.NodeLister(), instancetypes.Embedded)
	learn := func() weak.Pointer[group.Snapshot] {
		next := w.Cache.Snapshot().With(w.Cache.Snapshot().Group("a"))
		l.Learn(next, time.Now())
		return weak.Make(next)
	}
	first := learn()
	learn()
	runtime.GC()
	assert.Nil(t, first.Value(), "the Snapshot of the node's last change")
	assert.NotNil(t, l.Of("a"), "facts about the node")
}

// A parameter that cannot be read for a moment names no other image. Else one failed look-up would cost a group at zero its copy of a node.
func TestUnreadImagesAreNoOtherLaunch(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	real, snapshot, now := w.Members("a", nil)[0], w.Cache.Snapshot(), time.Now()
	l := aws.NewNodeFacts(w.NodeLister(), instancetypes.Embedded)
	outdated := func(images []string, of *launchspec.Image) bool {
		g := *snapshot.Group("a")
		launch := *g.LaunchSpec
		launch.NextImages, launch.Others = images, []launchspec.OtherTemplate{{UserData: "x", Image: of}}
		g.LaunchSpec = &launch
		l.Learn(snapshot.With(&g), now)
		return l.Outdated("a", real.CreationTimestamp.Time)
	}
	assert.False(t, outdated(nil, nil), "at first")
	assert.False(t, outdated([]string{"ami-a"}, &launchspec.Image{ID: "ami-a"}), "once the image is read")
	assert.False(t, outdated(nil, nil), "while the image cannot be read")
	assert.False(t, outdated([]string{"ami-a"}, &launchspec.Image{ID: "ami-a"}), "once it is read again")
	assert.False(t, outdated(nil, nil), "while the image cannot be read again")
	assert.True(t, outdated([]string{"ami-b"}, &launchspec.Image{ID: "ami-b"}), "once another image is read")
}

// Each loop asks about every group, so no answer may look through the nodes of all groups.
func TestFormerNodesAreFoundOncePerLoop(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	real, snapshot, now := w.Members("a", nil)[0], w.Cache.Snapshot(), time.Now()
	w.Cluster.Put(t, real)
	l := aws.NewNodeFacts(w.NodeLister(), instancetypes.Embedded)
	l.Learn(snapshot, now)
	g := *snapshot.Group("a")
	launch := *g.LaunchSpec
	launch.Origins = []string{"lt-1 version 2"}
	g.LaunchSpec = &launch
	changed, made := snapshot.With(&g), real.CreationTimestamp.Time
	l.Learn(changed, now)
	l.HideNodes()
	assert.False(t, l.Outdated("a", made), "outdated while the cluster has a node of the former version")
	w.Cluster.Drop(t, real)
	l.Learn(changed, now.Add(time.Minute))
	assert.True(t, l.Outdated("a", made), "outdated once that node is gone")
}

func TestNodesThatStartedFromSomethingElseTeachNothing(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	nodes := w.Cluster
	real, snapshot, start := w.Members("a", nil)[0], w.Cache.Snapshot(), time.Now().Add(-time.Hour)
	for _, tt := range []struct {
		name    string
		origin  string        // of the instance, "" for AWS's own
		unknown bool          // AWS does not name it
		created time.Duration // after the autoscaler's start
		want    bool
	}{
		{name: "as the next one", created: -time.Hour, want: true},
		{name: "another version", origin: "lt-1 version 7", created: 30 * time.Minute},
		{name: "unknown", unknown: true, created: -time.Hour},
		{name: "unknown, but young", unknown: true, created: 30 * time.Minute, want: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := *snapshot.Group("a")
			g.Instances = append([]group.Instance(nil), g.Instances...)
			if tt.origin != "" || tt.unknown {
				g.Instances[0].Origin = tt.origin
			}
			n := real.DeepCopy()
			n.CreationTimestamp = metav1.NewTime(start.Add(tt.created))
			l := aws.NewNodeFacts(w.NodeLister(), instancetypes.Embedded)
			l.Learn(snapshot.With(&g), start)
			nodes.Put(t, n)
			l.Learn(snapshot.With(&g), time.Now())
			assert.Equal(t, tt.want, l.Of("a") != nil, "learnt something")
		})
	}
}

// heartbeat is the node after its kubelet said that it is still there.
func heartbeat(n *corev1.Node) *corev1.Node {
	beat := n.DeepCopy()
	beat.ResourceVersion += "1"
	beat.Status.Conditions[0].LastHeartbeatTime = metav1.Now()
	return beat
}

func TestUnchangedGroupsAndNodesRebuildNoTemplate(t *testing.T) {
	const count = 1000
	var groups []fakeaws.AutoScalingGroup
	for i := range count {
		groups = append(groups, awsworld.Group(fmt.Sprintf("group-%04d", i), "m5.large", 0, 2, 5, map[string]string{template + "label/tier": "dsp"}))
	}
	w := newWorld(t, nil, groups...)
	nodes := w.Cluster
	var all []*corev1.Node
	for _, g := range groups {
		all = append(all, w.Members(g.Name, map[string]string{"team": g.Name})...)
	}
	nodes.Put(t, all...)
	w.NextLoop()
	before := w.templates()
	require.Truef(t, len(all) == 2*count && before["group-0007"].Labels["team"] == "group-0007",
		"%d nodes, label %q: nothing was learnt", len(all), before["group-0007"].Labels["team"])
	for range 2 {
		for i := range all {
			all[i] = heartbeat(all[i])
		}
		nodes.Put(t, all...)
		w.Reread()
	}
	assert.Empty(t, w.rebuiltSince(before), "templates that were built again")
	for i := range 2 {
		other := heartbeat(all[2*7+i])
		other.Labels["team"] = "other"
		nodes.Put(t, other)
	}
	w.NextLoop()
	assert.Equal(t, []string{"group-0007"}, w.rebuiltSince(before), "templates that were built again")
}
