package fakeaws

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReplacedRootVolumesKeepTheirPlace(t *testing.T) {
	inBubble(t, oneGroup(withDesired(2)), func(t *testing.T, s *Server, c clients) {
		do(t, s, Deed{Kind: ReplaceRootVolume, Group: "g", Each: Duration(10 * time.Second)})
		for _, state := range rootVolumeStates {
			pass(time.Second)
			statesAre(t, c, "on its way", map[string]int{"InService": 1, state: 1})
			pass(9 * time.Second)
		}
		statesAre(t, c, "when it is over", map[string]int{"InService": 2})
		assert.Equal(t, 2, count(s, Launched), "instances were launched, want the first 2 only: the others counted all the while")
	})
}

func TestReplacedRootVolumeStaysInLastState(t *testing.T) {
	inBubble(t, oneGroup(withDesired(3)), func(t *testing.T, s *Server, c clients) {
		do(t, s, Deed{Kind: ReplaceRootVolume, Group: "g", Count: 2, Each: Never})
		pass(time.Hour)
		statesAre(t, c, "an hour later", map[string]int{"InService": 1, "RootVolumeReplaced": 2})
		assert.EqualValues(t, 3, *describe(t, c, "g").DesiredCapacity, "desired capacity")
	})
}

func TestReplacingInstanceCanBeTerminated(t *testing.T) {
	inBubble(t, oneGroup(withDesired(1)), func(t *testing.T, s *Server, c clients) {
		do(t, s, Deed{Kind: ReplaceRootVolume, Group: "g"})
		_, err := terminate(t, c, true, describe(t, c, "g").Instances[0].InstanceId)
		require.NoError(t, err)
		pass(time.Minute)
		statesAre(t, c, "a minute later", map[string]int{})
	})
}

func rebalancing(change ...func(*AutoScalingGroup)) Config {
	zero := 0
	spots := func(g *AutoScalingGroup) {
		mixed(Distribution{OnDemandPercentageAboveBaseCapacity: &zero})(g)
		g.CapacityRebalance, g.Desired, g.Max = true, 2, 2
	}
	return oneGroup(append([]func(*AutoScalingGroup){spots}, change...)...)
}

func TestCapacityRebalancingReplacesFirst(t *testing.T) {
	for _, kind := range []DeedKind{RecommendRebalance, Interrupt} {
		inBubble(t, rebalancing(), func(t *testing.T, s *Server, c clients) {
			old := describe(t, c, "g").Instances[0].InstanceId
			do(t, s, Deed{Kind: kind, Group: "g", Instances: []string{*old}})
			pass(time.Second)
			g := describe(t, c, "g")
			statesAre(t, c, string(kind)+", at first", map[string]int{"InService": 2, "Pending": 1})
			assert.Truef(t, *g.DesiredCapacity == 2 && *g.MaxSize == 2,
				"%s: desired %d, max %d; want both 2 while there are three", kind, *g.DesiredCapacity, *g.MaxSize)
			pass(10 * time.Minute)
			statesAre(t, c, string(kind)+", in the end", map[string]int{"InService": 2})
			for _, i := range describe(t, c, "g").Instances {
				assert.Truef(t, *i.InstanceId != *old, "%s: the instance at risk is still there", kind)
			}
			assert.Equalf(t, 3, count(s, Launched), "%s: launched", kind)
		})
	}
}

func TestCapacityRebalancingKeepsToItsMargin(t *testing.T) {
	inBubble(t, rebalancing(func(g *AutoScalingGroup) { g.Desired, g.Max = 4, 4 }), func(t *testing.T, s *Server, c clients) {
		do(t, s, Deed{Kind: RecommendRebalance, Group: "g", Count: 4})
		pass(time.Second)
		statesAre(t, c, "at first", map[string]int{"InService": 4, "Pending": 1})
		pass(time.Hour)
		statesAre(t, c, "in the end", map[string]int{"InService": 4})
	})
}

func TestCapacityRebalancingWithoutCapacityKeepsOld(t *testing.T) {
	inBubble(t, rebalancing(), func(t *testing.T, s *Server, c clients) {
		s.AddShortage(Shortage{Group: "g"})
		do(t, s, Deed{Kind: RecommendRebalance, Group: "g"})
		pass(time.Hour)
		statesAre(t, c, "an hour later", map[string]int{"InService": 2})
		assert.Equal(t, 0, count(s, Terminated), "the instance at risk was terminated without another")
	})
}

func TestInstanceEndsAtItsMaximumLifetime(t *testing.T) {
	lasting := func(g *AutoScalingGroup) { g.Desired, g.MaxInstanceLifetime = 2, Duration(24*time.Hour) }
	inBubble(t, oneGroup(lasting), func(t *testing.T, s *Server, c clients) {
		g := describe(t, c, "g")
		assert.EqualValues(t, 86400, *g.MaxInstanceLifetime, "maximum lifetime in seconds, want a day")
		require.NoError(t, s.ProtectInstance(*g.Instances[0].InstanceId, true))
		pass(24*time.Hour - time.Second)
		statesAre(t, c, "before", map[string]int{"InService": 2})
		assert.Equal(t, 2, count(s, Launched), "an instance was replaced before its time")
		pass(time.Minute)
		statesAre(t, c, "after", map[string]int{"InService": 2})
		if state, _ := s.Group("g"); count(s, Launched) != 3 || state.Instances[0].ID != *g.Instances[0].InstanceId {
			t.Errorf("%d were launched, and the oldest is %s; want the one that is not protected replaced", count(s, Launched), state.Instances[0].ID)
		}
	})
}
