package fleet

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

var (
	clusters = flag.Int("clusters", 0, "size of the fleet that is simulated and printed, 0 for none")
	rate     = flag.Float64("rate", 10, "calls a second that Auto Scaling allows the account, with ten seconds' worth at once")
	refresh  = flag.Duration("refresh", time.Minute, "--asg-refresh-interval of all clusters")
	period   = flag.Duration("period", 10*time.Minute, "time between two new nodes of a cluster")
)

func TestMain(m *testing.M) {
	klog.SetSlogLogger(slog.New(slog.DiscardHandler)) // a throttled fleet logs much
	os.Exit(m.Run())
}

// limits are EC2's documented ones for each action, and one bucket for all actions of Auto Scaling, of which AWS documents no size.
func limits(perSecond float64) []fakeaws.Throttle {
	return []fakeaws.Throttle{
		{Service: "ec2", Burst: 100, PerSecond: 20},
		{Service: "autoscaling", Shared: true, Burst: int(max(1, 10*perSecond)), PerSecond: perSecond},
	}
}

// A fleet's life is a start of all clusters at once, and then some minutes.
type life struct {
	members     []*member
	start, then tally
	lived       time.Duration
}

// A tally is calls by action.
type tally struct{ all, throttled map[string]int }

func (t tally) sum() (all, throttled int) {
	for action, n := range t.all {
		all, throttled = all+n, throttled+t.throttled[action]
	}
	return all, throttled
}

func tallied(log []fakeaws.Call) tally {
	t := tally{map[string]int{}, map[string]int{}}
	for _, call := range log {
		t.all[call.Action]++
		if call.Code == "Throttling" || call.Code == "RequestLimitExceeded" {
			t.throttled[call.Action]++
		}
	}
	return t
}

// simulate lets a fleet live.
func simulate(t *testing.T, size int, perSecond float64, period, lived time.Duration) *life {
	inherit(t)
	l := &life{lived: lived}
	synctest.Test(t, func(t *testing.T) {
		server, err := fakeaws.New(account(size, limits(perSecond)))
		require.NoError(t, err)
		defer server.Close()    //nolint:errcheck // it has no port
		time.Sleep(time.Minute) // until the instances of the beginning are in service
		ctx, cancel := context.WithCancel(t.Context())
		var starting, background sync.WaitGroup
		for n := range size {
			m := newMember(t, server, clusterName(n), ownership.Tag{Key: clusterTag + clusterName(n)})
			l.members = append(l.members, m)
			starting.Go(func() { assert.NoError(t, m.start(ctx, &background)) })
		}
		starting.Wait()
		time.Sleep(time.Minute)
		l.start = tallied(server.CallLog())
		server.ResetCalls()
		living, end := context.WithTimeout(ctx, lived)
		defer end()
		for n, m := range l.members {
			background.Go(func() { m.live(living, period, rand.New(rand.NewPCG(uint64(n), 1))) })
		}
		<-living.Done()
		l.then = tallied(server.CallLog())
		cancel()
		background.Wait()
	})
	return l
}

func TestIdleFleetReadsEachClusterOncePerMinute(t *testing.T) {
	const size = 20
	l := simulate(t, size, 10, time.Hour, 10*time.Minute)
	all, throttled := l.then.sum()
	reads := l.then.all["DescribeAutoScalingGroups"]
	if launched := l.then.all["LaunchInstances"]; reads < 10*size || reads > 10*size+30*launched || throttled > 0 {
		t.Errorf("%d readings and %d launches in ten minutes of %d clusters, %d of %d calls throttled", reads, launched, size, throttled, all)
	}
}

// The limit is a third of what the fleet's readings alone need.
func TestThrottledFleetStillLaunches(t *testing.T) {
	const size = 20
	l := simulate(t, size, 0.1, 4*time.Minute, 10*time.Minute)
	_, throttled := l.then.sum()
	assert.True(t, throttled != 0, "no call was throttled")
	launched := 0
	for _, m := range l.members {
		launched += len(m.launches)
	}
	assert.True(t, launched != 0, "nobody launched an instance")
}

// Two autoscalers of one cluster divide its groups by the value of a tag.
func TestShardsOfOneClusterHaveDisjointGroups(t *testing.T) {
	inherit(t)
	synctest.Test(t, func(t *testing.T) {
		server, err := fakeaws.New(account(1, nil))
		require.NoError(t, err)
		defer server.Close() //nolint:errcheck // it has no port
		ctx, cancel := context.WithCancel(t.Context())
		var background sync.WaitGroup
		defer background.Wait()
		defer cancel()
		var shards [2]*member
		owner := map[string]int{}
		for n := range shards {
			shards[n] = newMember(t, server, clusterName(0), ownership.Tag{Key: clusterTag + clusterName(0)}, ownership.Tag{Key: shardTag, Value: fmt.Sprint(n)})
			require.NoError(t, shards[n].start(ctx, &background))
			for _, ng := range shards[n].provider.NodeGroups() {
				other, taken := owner[ng.Id()]
				assert.Falsef(t, taken, "group %q belongs to shard %d, and to %d, too", ng.Id(), other, n)
				owner[ng.Id()] = n
			}
		}
		assert.Truef(t, len(owner) == ownGroups, "the shards have %d groups, want all %d", len(owner), ownGroups)
		for name, n := range owner {
			shards[n].grow(ctx, name)
			state, _ := server.Group(name)
			assert.Lenf(t, state.Instances, 2, "group %q has instances after a launch by shard %d", name, n)
			for _, i := range state.Instances {
				node := awsworld.Node(i.Node, "aws:///"+i.Zone+"/"+i.ID)
				own, _ := shards[n].provider.NodeGroupForNode(node)
				others, _ := shards[1-n].provider.NodeGroupForNode(node)
				assert.Truef(t, own != nil && others == nil, "instance %s of %q: shard %d says %v, the other one %v", i.ID, name, n, own, others)
			}
		}
	})
}

// TestFleet prints a simulation of the size that flags ask for.
func TestFleet(t *testing.T) {
	if *clusters == 0 {
		t.Skip("-clusters asks for a simulation")
	}
	began := time.Now()
	l := simulate(t, *clusters, *rate, *period, 10*time.Minute)
	fmt.Print(l.table())
	fmt.Printf("simulated in %s\n", time.Since(began).Round(time.Second))
}

func (l *life) table() string {
	var b strings.Builder
	var started, ages, launches []time.Duration
	failed := 0
	for _, m := range l.members {
		started, ages, launches, failed = append(started, m.started), append(ages, m.oldest), append(launches, m.launches...), failed+m.failed
	}
	all, throttled := l.start.sum()
	fmt.Fprintf(&b, "clusters %d of %d groups, a new node of each every %s, readings every %s, Auto Scaling %v calls a second\n", len(l.members), ownGroups, *period, *refresh, *rate)
	fmt.Fprintf(&b, "all start at once: groups read after %s median, %s last; %d calls, %d throttled\n", short(quantile(started, 0.5)), short(quantile(started, 1)), all, throttled)
	for _, action := range slices.Sorted(maps.Keys(l.start.all)) {
		fmt.Fprintf(&b, "  %-36s %8d calls, %d throttled\n", action, l.start.all[action], l.start.throttled[action])
	}
	fmt.Fprintf(&b, "the %s after that:\n", l.lived)
	for _, action := range slices.Sorted(maps.Keys(l.then.all)) {
		fmt.Fprintf(&b, "  %-36s %8.1f calls a minute, %.1f throttled\n", action, float64(l.then.all[action])/l.lived.Minutes(), float64(l.then.throttled[action])/l.lived.Minutes())
	}
	fmt.Fprintf(&b, "launches: %d, %d failed, answered after %s median, %s p99\n", len(launches), failed, short(quantile(launches, 0.5)), short(quantile(launches, 0.99)))
	fmt.Fprintf(&b, "oldest reading that a loop saw: %s median, %s worst\n", short(quantile(ages, 0.5)), short(quantile(ages, 1)))
	return b.String()
}

func short(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
