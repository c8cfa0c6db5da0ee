package aws_test

import (
	"fmt"
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// BenchmarkRefresh moves on to another reading of groups=1000 that did not change, each with three instances in three zones, as
// every loop of the autoscaler does: go test -run - -bench Refresh ./cloudprovider/aws
func BenchmarkRefresh(b *testing.B) {
	for _, form := range []asg.ZonalGroups{asg.ZonalOff, asg.ZonalTagged} {
		b.Run(fmt.Sprintf("groups=1000/zones=3/zonal=%s", form), func(b *testing.B) {
			var groups []fakeaws.AutoScalingGroup
			for n := range 1000 {
				groups = append(groups, awsworld.Divided(fmt.Sprintf("g-%03d", n), "m5.large", 0, 3, 90))
			}
			w := newAWS(b, atOnce, groups...).restartedWith(func(o *asg.Options, _ *aws.Options) {
				idle(o)
				o.LaunchMode, o.ZonalGroups = asg.LaunchAuto, form
			})
			if want := map[asg.ZonalGroups]int{asg.ZonalOff: 1000, asg.ZonalTagged: 3000}[form]; len(w.NodeGroups()) != want {
				b.Fatalf("%d node groups, want %d", len(w.NodeGroups()), want)
			}
			b.ReportAllocs()
			for b.Loop() {
				w.MoveOn()
			}
		})
	}
}

// BenchmarkAdopt measures the change that a launch in one zone group makes to the view of a loop, with groups=1000 that are divided:
// go test -run - -bench Adopt ./cloudprovider/aws
func BenchmarkAdopt(b *testing.B) {
	for _, form := range []asg.ZonalGroups{asg.ZonalOff, asg.ZonalTagged} {
		b.Run(fmt.Sprintf("groups=1000/zones=3/zonal=%s", form), func(b *testing.B) {
			var groups []fakeaws.AutoScalingGroup
			for n := range 1000 {
				groups = append(groups, awsworld.Divided(fmt.Sprintf("g-%03d", n), "m5.large", 0, 3, 90))
			}
			w := newAWS(b, atOnce, groups...).restartedWith(func(o *asg.Options, _ *aws.Options) {
				idle(o)
				o.LaunchMode, o.ZonalGroups = asg.LaunchAuto, form
			})
			b.ReportAllocs()
			for b.Loop() {
				w.Adopt("g-500")
			}
		})
	}
}
