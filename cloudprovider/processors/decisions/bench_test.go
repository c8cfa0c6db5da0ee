package decisions_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/costlimit"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// BenchmarkLoop is the record's share of the processor time of the core's loop. Loops of two clusters alternate, one of them without
// the record. The share is the median of the pairs, because a loop's time varies more than the share. At the end a reader reads the record:
// go test ./cloudprovider/processors/decisions -run - -bench Loop -benchtime 40x
func BenchmarkLoop(b *testing.B) {
	for _, cluster := range []struct {
		name        string
		pods, kinds int
	}{{"idle", 0, 0}, {"waiting", 1_000, 20}} {
		b.Run(cluster.name+"/groups=1000", func(b *testing.B) {
			without, recorded := bigWorld(b, cluster.pods, cluster.kinds, false, nil), bigWorld(b, cluster.pods, cluster.kinds, true, nil)
			loop, share := pairs(b, without, recorded)
			var reports []time.Duration
			for range 5 {
				recorded.once()
				reports = append(reports, timed(func() { recorded.record.Report() }))
			}
			b.ReportMetric(milliseconds(loop), "ms/loop")
			b.ReportMetric(100*float64(share)/float64(loop), "%-record")
			b.ReportMetric(milliseconds(median(reports)), "ms/report")
		})
	}
}

// BenchmarkTags is what pauses of all 1,000 groups, spend caps of all, and pods on 200 nodes that ask to be left alone add to the core's loop:
// go test ./cloudprovider/processors/decisions -run - -bench Tags -benchtime 200x
func BenchmarkTags(b *testing.B) {
	for name, tags := range map[string]map[string]string{"left-alone": {}, "paused": {group.TagPaused: "scale-down until=2126-12-01T06:00Z"},
		"capped": {aws.SpendCapTag: "100000"}} {
		b.Run(name+"/groups=1000", func(b *testing.B) {
			loop, added := pairs(b, bigWorld(b, 0, 0, true, nil), bigWorld(b, 0, 0, true, tags))
			b.ReportMetric(milliseconds(loop), "ms/loop")
			b.ReportMetric(milliseconds(added), "ms/added")
		})
	}
}

// pairs runs loops of both worlds in pairs. It returns the time of a loop of the first, and what one of the other adds.
func pairs(b *testing.B, without, with *world) (loop, added time.Duration) {
	var plain, shares []time.Duration
	for b.Loop() {
		// Each goes first in every second pair.
		first, second := timed(without.once), timed(with.once)
		other, before := timed(with.once), timed(without.once)
		plain = append(plain, first, before)
		shares = append(shares, second-first, other-before)
	}
	return median(plain), median(shares)
}

// timed returns the processor time of the function, with that of the garbage collector meanwhile.
func timed(do func()) time.Duration {
	began := costlimit.ProcessTime()
	do()
	return costlimit.ProcessTime() - began
}

func median(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)/2]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// bigWorld is a cluster of 1,000 groups and 200 nodes, where so many pods of so many kinds wait that no group helps. With tags of the groups,
// even none, the pods on the nodes ask to be left alone.
func bigWorld(b *testing.B, pods, kinds int, recorded bool, tags map[string]string) *world {
	const groups, nodes = 1_000, 200
	list := []fakeaws.AutoScalingGroup{awsworld.Group("many", "m5.large", nodes, nodes, nodes, tags)}
	for n := range groups - 1 {
		list = append(list, awsworld.Group(named(n), "m5.large", 0, 0, 5, tags))
	}
	w := newWorld(b, onAWS(b, list...), options(), recorded)
	members := w.ready("many")
	w.put(objects(members)...)
	var objects []runtime.Object
	for n, node := range members {
		pod := running(fmt.Sprint("here-", n), "here", "1500m", node.Name)
		if tags != nil {
			nodemeta.DoNotDisrupt.Set(pod, "4h")
		}
		objects = append(objects, pod)
	}
	for n := range pods {
		objects = append(objects, waiting(fmt.Sprint("big-", n), fmt.Sprint("set-", n%kinds), "64"))
	}
	w.put(objects...)
	w.once()
	return w
}
