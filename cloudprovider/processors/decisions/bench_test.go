package decisions_test

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/asg-autoscaler/asg-autoscaler/test/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
)

// BenchmarkLoop is the core's loop with and without the record, which nobody reads, and then with a reader after each loop:
// go test ./cloudprovider/processors/decisions -run - -bench Loop -count 6
func BenchmarkLoop(b *testing.B) {
	const groups, nodes = 1_000, 200
	for _, cluster := range []struct {
		name        string
		pods, kinds int
	}{{"idle", 0, 0}, {"waiting", 1_000, 20}} {
		for _, variant := range []struct {
			name           string
			recorded, read bool
		}{{"without", false, false}, {"recorded", true, false}, {"read", true, true}} {
			b.Run(fmt.Sprintf("%s/groups=%d/record=%s", cluster.name, groups, variant.name), func(b *testing.B) {
				list := []fakeaws.AutoScalingGroup{awsworld.Group("many", "m5.large", nodes, nodes, nodes, nil)}
				for n := range groups - 1 {
					list = append(list, awsworld.Group(named(n), "m5.large", 0, 0, 5, nil))
				}
				w := newWorld(b, onAWS(b, list...), options(), variant.recorded)
				members := w.ready("many")
				w.put(objects(members)...)
				var pods []runtime.Object
				for n, node := range members {
					pods = append(pods, running(fmt.Sprint("here-", n), "here", "1500m", node.Name))
				}
				for n := range cluster.pods {
					pods = append(pods, waiting(fmt.Sprint("big-", n), fmt.Sprint("set-", n%cluster.kinds), "64"))
				}
				w.put(pods...)
				w.once()
				b.ReportAllocs()
				var reading time.Duration
				for b.Loop() {
					w.once()
					if began := time.Now(); variant.read {
						w.record.Report()
						reading += time.Since(began)
					}
				}
				if variant.read {
					b.ReportMetric(float64(reading.Milliseconds())/float64(b.N), "ms/report")
				}
			})
		}
	}
}
