package ledger_test

import (
	"fmt"
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ledger"
)

// BenchmarkShown shows a group while AWS launches ten more instances in one of its zones=3, as every publication does meanwhile. Its time
// grows with the instances: go test -run - -bench Shown ./cloudprovider/asg/ledger
func BenchmarkShown(b *testing.B) {
	for _, instances := range []int{1000, 10_000} {
		b.Run(fmt.Sprintf("instances=%d/zones=3", instances), func(b *testing.B) {
			g := &group.Group{Name: "g", Zones: []string{"a", "b", "c"}, MaxSize: 2 * instances, DesiredCapacity: instances}
			for n := range instances {
				g.Instances = append(g.Instances, group.Instance{ID: fmt.Sprint("i-", n), Zone: g.Zones[n%3], Lifecycle: "InService", Weight: 1})
			}
			l := ledger.New()
			l.Read(g)
			l.Book("a", 10)
			l.NextIncrease()
			b.ReportAllocs()
			for b.Loop() {
				l.Shown()
			}
		})
	}
}
