package aws_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// each is the price of m5.large in cn-north-1, whose list stands in for the region's.
const each = 1.013

// capped makes a world whose nodes may cost as much as so many of m5.large.
func capped(t *testing.T, nodes float64, change func(*asg.Options), groups ...fakeaws.AutoScalingGroup) world {
	return newAWS(t, nil, groups...).restartedWith(func(o *asg.Options, p *aws.Options) {
		p.SpendCaps = []decision.SpendCap{{Of: decision.WholeCluster, PerHour: nodes * each}}
		if change != nil {
			change(o)
		}
	})
}

func TestSpendCapThatCannotBeReadIsAProblem(t *testing.T) {
	w := newAWS(t, nil, awsworld.Group("a", "m5.large", 0, 0, 9, map[string]string{group.TagSpendCap: "much"}), awsworld.Group("b", "m5.large", 0, 0, 9, nil)).restartedWith(func(*asg.Options, *aws.Options) {})
	assert.Equal(t, 0, w.NodeGroup("a").MaxSize(), "most nodes of group a")
	assert.Equal(t, 9, w.NodeGroup("b").MaxSize(), "most nodes of group b")
	problems := w.Provider.Problems()
	if len(problems) != 1 || problems[0].Group != "a" || !strings.Contains(problems[0].String(), group.TagSpendCap+` is "much"`) || !strings.Contains(problems[0].Remedy, "delete-tags") {
		t.Errorf("problems %+v, want one with group, tag and remedy", problems)
	}
}

// The core looks at the sizes first. A raise that it asks for all the same is refused.
func TestSpendCapBoundsTheSizes(t *testing.T) {
	w := capped(t, 4.5, idle, awsworld.Group("a", "m5.large", 0, 1, 9, nil), awsworld.Group("b", "m5.large", 0, 0, 9, map[string]string{group.TagSpendCap: "1.1"}))
	sizes := func(a, b int) {
		t.Helper()
		assert.Equal(t, [2]int{a, b}, [2]int{w.NodeGroup("a").MaxSize(), w.NodeGroup("b").MaxSize()}, "most nodes of the groups")
	}
	sizes(4, 1)
	require.NoError(t, w.NodeGroup("b").IncreaseSize(1)) // it counts before AWS has answered
	sizes(3, 1)
	for _, increase := range []func(int) error{w.NodeGroup("a").IncreaseSize, w.NodeGroup("a").AtomicIncreaseSize} {
		assert.ErrorContains(t, increase(3), "an hour on cluster", "three more nodes, want an error with the cap")
	}
	require.NoError(t, w.Grow("a", 2))
	sizes(3, 1)
	by := w.Capped(w.View().Group("a"))
	assert.Truef(t, by != nil && by.Of == "cluster" && by.Spent >= 4*each-0.001 && by.Spent <= 4*each+0.001 && by.About,
		"held by %+v, want the cluster's with the estimated price of four nodes", by)
	w.NextLoop()
	n, err := testutil.GatherAndCount(w.Metrics, "asg_autoscaler_spend_cap_per_hour", "asg_autoscaler_spend_under_cap_per_hour")
	assert.Truef(t, err == nil && n == 4, "%d series of the caps, %v, want 2 for each of 2 caps", n, err)
}

func TestNodesThatAShadowPretendsCountAgainstTheSpendCap(t *testing.T) {
	w := capped(t, 4.5, idle, awsworld.Group("a", "m5.large", 0, 1, 9, nil), awsworld.Group("b", "m5.large", 0, 0, 9, nil))
	w.Pretended = map[string]int{}
	sizes := func(a, b int) {
		t.Helper()
		assert.Equal(t, [2]int{a, b}, [2]int{w.NodeGroup("a").MaxSize(), w.NodeGroup("b").MaxSize()}, "most nodes of the groups")
	}
	sizes(4, 3)
	require.NoError(t, w.NodeGroup("b").IncreaseSize(2))
	sizes(2, 3)
	require.NoError(t, w.NodeGroup("a").IncreaseSize(1))
	sizes(2, 2)
	assert.NotNil(t, w.Capped(w.View().Group("b")), "the cap that holds group b")
	w.NextLoop() // without a scale-up
	sizes(4, 3)
}

// Two equal series would break the whole page of metrics.
func TestGroupNamedLikeACapHasNoSeriesOfItsOwn(t *testing.T) {
	w := capped(t, 4.5, idle, awsworld.Group(decision.WholeCluster, "m5.large", 0, 1, 9, map[string]string{group.TagSpendCap: "9"}))
	w.NextLoop()
	n, err := testutil.GatherAndCount(w.Metrics, "asg_autoscaler_spend_cap_per_hour", "asg_autoscaler_spend_under_cap_per_hour")
	assert.Truef(t, err == nil && n == 2, "%d series of the caps, %v, want those of the cluster", n, err)
}

func TestMinimumIsFilledAsFarAsTheSpendCapAllows(t *testing.T) {
	discovery, err := ownership.ParseDiscovery([]string{"3:9:a"}, nil)
	require.NoError(t, err)
	for nodes, want := range map[float64]int{0.5: 1, 2: 2, 5: 3} {
		w := capped(t, nodes, func(o *asg.Options) { o.Discovery = discovery }, awsworld.Group("a", "m5.large", 0, 1, 9, nil))
		assert.Equalf(t, want, w.NodeGroup("a").MinSize(), "the minimum under a cap of %v nodes", nodes)
	}
}

// The core asks for all minimums before it looks at the sizes again.
func TestGroupsBelowTheirMinimumShareTheSpendCap(t *testing.T) {
	discovery, err := ownership.ParseDiscovery([]string{"3:9:a", "3:9:b"}, nil)
	require.NoError(t, err)
	w := capped(t, 4, func(o *asg.Options) { o.Discovery = discovery }, awsworld.Group("a", "m5.large", 0, 0, 9, nil), awsworld.Group("b", "m5.large", 0, 0, 9, nil))
	least := func() [2]int { return [2]int{w.NodeGroup("a").MinSize(), w.NodeGroup("b").MinSize()} }
	assert.Equal(t, [2]int{3, 1}, least(), "the groups are to have")
	for id, count := range map[string]int{"a": 3, "b": 1} {
		assert.NoError(t, w.Grow(id, count))
	}
	assert.Equal(t, [2]int{3, 1}, least(), "the groups are to have after that")
}

// The core may raise groups at the same time (--parallel-scale-up), and another process asks from several goroutines.
func TestRaisesAtOnceStayWithinTheSpendCap(t *testing.T) {
	for _, mode := range []asg.LaunchMode{asg.LaunchDesiredCapacity, asg.LaunchAuto} {
		w := capped(t, 3.5, func(o *asg.Options) { o.LaunchMode = mode }, awsworld.Group("a", "m5.large", 0, 0, 9, nil),
			awsworld.Group("b", "m5.large", 0, 0, 9, nil), awsworld.Group("c", "m5.large", 0, 0, 9, nil))
		var raises sync.WaitGroup
		for _, id := range []string{"a", "b", "c"} {
			ng := w.NodeGroup(id)
			for range 3 {
				raises.Go(func() { _ = ng.IncreaseSize(1) })
				if mode == asg.LaunchAuto {
					raises.Go(func() { _ = ng.AtomicIncreaseSize(1) })
				}
			}
		}
		raises.Wait()
		sum := w.Target("a") + w.Target("b") + w.Target("c")
		assert.Truef(t, sum <= 3 && (mode != asg.LaunchDesiredCapacity || sum == 3), "%s: %d nodes were asked for, want 3", mode, sum)
	}
}

func TestZoneGroupsShareTheSpendCap(t *testing.T) {
	w := newDividedWorld(t, nil, func() fakeaws.AutoScalingGroup {
		g := awsworld.Divided("a", "m5.large", 0, 0, 9)
		g.Tags[group.TagSpendCap] = "2.5"
		return g
	}())
	ids := w.IDs()
	require.Truef(t, len(ids) >= 2, "node groups %q, want one for each zone", ids)
	require.NoError(t, w.Grow(ids[0], 1))
	for at, id := range ids {
		g := w.View().Group(id)
		want := 1
		if at == 0 {
			want = 2
		}
		assert.Equalf(t, want, w.WithinCaps(g, g.MostInstances()), "most nodes of %s", id)
	}
}
