package asg_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// shiftable is a group over three zones whose policy enables zonal shift.
func shiftable(name string) fakeaws.AutoScalingGroup {
	g := zonal(name, 0, 0, 20)
	g.ZonalShift = true
	return g
}

// shift starts and ends zonal shifts, and waits until the Cache knows.
func (w *world) shift(name string, now *clocktesting.FakeClock, edit fakeaws.GroupEdit, zone string, want bool) {
	w.t.Helper()
	w.must(w.aws.EditGroup(name, edit))
	w.waitWhile("the Cache has not noticed the shift", func() bool {
		if now.HasWaiters() {
			now.Step(time.Second)
		}
		return w.cache.Shifted(w.group(name), zone) != want
	})
}

func TestShiftedZoneGetsNoLaunch(t *testing.T) {
	t.Parallel()
	shifted, none := []string{"us-west-2b"}, []string{}
	for name, tt := range map[string]struct{ starts, ends fakeaws.GroupEdit }{
		"by its owner": {fakeaws.GroupEdit{ShiftedZones: &shifted}, fakeaws.GroupEdit{ShiftedZones: &none}},
		"by AWS":       {fakeaws.GroupEdit{AutoshiftZones: &shifted}, fakeaws.GroupEdit{AutoshiftZones: &none}},
	} {
		t.Run(name, bubbled(func(t *testing.T) {
			now := clockAt(time.Minute)
			w := newWorld(t, shiftable("a"), zonal("b", 0, 0, 9)).with(at(now)).running()
			w.shift("a", now, tt.starts, "us-west-2b", true)
			assert.False(t, w.cache.Shifted(w.group("b"), "us-west-2b"), "another group is shifted, too")
			w.increase(4)
			assert.Empty(t, cmp.Diff(map[string]int{"a": 2, "c": 2}, w.perZone("a")), "instances by zone during the shift (-want +got)")
			w.shift("a", now, tt.ends, "us-west-2b", false)
			w.increase(2)
			assert.Empty(t, cmp.Diff(map[string]int{"a": 2, "b": 2, "c": 2}, w.perZone("a")), "instances by zone after the shift (-want +got)")
		}))
	}
}

// ofEKS is a group over three zones whose tag names its cluster of EKS.
func ofEKS(name, cluster string) fakeaws.AutoScalingGroup {
	g := zonal(name, 0, 0, 9)
	g.Tags["eks:cluster-name"] = cluster
	return g
}

// The shift of an EKS cluster has a resource of its own in ARC, and needs no policy of the groups.
func TestShiftOfTheClusterClosesItsZone(t *testing.T) {
	t.Parallel()
	shifted, others, none := []string{"us-west-2b"}, []string{"us-west-2a"}, []string{}
	for name, tt := range map[string]struct {
		group fakeaws.AutoScalingGroup
		named string
	}{
		"that its tag names": {group: ofEKS("a", "prod")},
		"that a flag names":  {group: zonal("a", 0, 0, 9), named: "prod"},
		"beside a shift of its own": {group: func() fakeaws.AutoScalingGroup {
			g := ofEKS("a", "prod")
			g.ZonalShift, g.ShiftedZones = true, []string{"us-west-2c"}
			return g
		}()},
	} {
		t.Run(name, bubbled(func(t *testing.T) {
			now := clockAt(time.Minute)
			w := newWorld(t, tt.group, ofEKS("b", "prod"), ofEKS("c", "other"), ofEKS("d", "prod")).with(at(now)).
				with(func(o *asg.Options) { o.Cluster = tt.named })
			w.calls.edit = func(g *types.AutoScalingGroup) {
				if *g.AutoScalingGroupName == "d" {
					g.AutoScalingGroupARN = nil
				}
			}
			w.running()
			w.must(w.aws.EditGroup("c", fakeaws.GroupEdit{ClusterShiftedZones: &others}))
			w.must(w.aws.EditGroup("b", fakeaws.GroupEdit{ClusterShiftedZones: &shifted}))
			w.shift("a", now, fakeaws.GroupEdit{}, "us-west-2b", true)
			assert.False(t, w.cache.Shifted(w.group("a"), "us-west-2a"), "another cluster's shift counts")
			assert.False(t, w.cache.Shifted(w.group("d"), "us-west-2b"), "a group without an ARN is shifted")
			want := map[string]int{"a": 2, "c": 2}
			if tt.group.ZonalShift {
				want = map[string]int{"a": 4}
			}
			w.increase(4)
			assert.Empty(t, cmp.Diff(want, w.perZone("a")), "instances by zone during the shift (-want +got)")
			w.must(w.aws.EditGroup("b", fakeaws.GroupEdit{ClusterShiftedZones: &none}))
			w.shift("a", now, fakeaws.GroupEdit{}, "us-west-2b", false)
			w.increase(2)
			want["b"] = 2
			assert.Empty(t, cmp.Diff(want, w.perZone("a")), "instances by zone after the shift (-want +got)")
		}))
	}
}

func TestDeniedLookUpShiftsNoZone(t *testing.T) {
	t.Parallel()
	shifted := []string{"us-west-2b"}
	now := clockAt(time.Minute)
	w := newWorld(t, shiftable("a")).with(at(now)).running()
	w.shift("a", now, fakeaws.GroupEdit{ShiftedZones: &shifted}, "us-west-2b", true)
	w.aws.Inject(fakeaws.Fault{Action: "ListManagedResources", Code: "AccessDeniedException"})
	w.shift("a", now, fakeaws.GroupEdit{}, "us-west-2b", false)
}

func TestGroupWithoutAvailableZoneIsLeftAlone(t *testing.T) {
	t.Parallel()
	all := []string{"us-west-2a", "us-west-2b", "us-west-2c"}
	now := clockAt(time.Minute)
	w := newWorld(t, shiftable("a")).with(at(now)).running()
	w.shift("a", now, fakeaws.GroupEdit{ShiftedZones: &all}, "us-west-2c", true)
	rest, resting := w.cache.CoolDown(w.group("a"))
	assert.Truef(t, resting && rest.Class == cooldown.ZonalShift, "it rests: %t, %+v, want for a zonal shift", resting, rest)
}

func TestShiftsAreLookedUpOnlyWhereEnabled(t *testing.T) {
	t.Parallel()
	const look = "ListManagedResources"
	for name, tt := range map[string]struct {
		group fakeaws.AutoScalingGroup
		fault fakeaws.Fault
		want  func(calls int) bool // in some minutes
	}{
		"no group enables them":           {group: zonal("a", 0, 0, 9), want: func(calls int) bool { return calls == 0 }},
		"a cluster of EKS may be shifted": {group: ofEKS("a", "prod"), want: func(calls int) bool { return calls > 1 }},
		"a cluster of kOps cannot be":     {group: ofEKS("a", "prod.example.com"), want: func(calls int) bool { return calls == 0 }},
		"a group enables them":            {group: shiftable("a"), want: func(calls int) bool { return calls > 1 }},
		"denied": {group: shiftable("a"), fault: fakeaws.Fault{Code: "AccessDeniedException"},
			want: func(calls int) bool { return calls >= 1 && calls < 8 }},
		"no such service": {group: shiftable("a"), fault: fakeaws.Fault{Code: "UnknownOperationException"},
			want: func(calls int) bool { return calls > 1 }},
	} {
		t.Run(name, bubbled(func(t *testing.T) {
			now := clockAt(time.Minute)
			w := newWorld(t, tt.group).with(at(now))
			if tt.fault.Code != "" {
				tt.fault.Action = look
				w.aws.Inject(tt.fault)
			}
			w.aws.ResetCalls()
			w.running()
			w.waitWhile("minutes have not passed", func() bool {
				now.Step(5 * time.Second)
				return w.aws.Calls()["DescribeAutoScalingGroups"] < 5
			})
			got := w.aws.Calls()[look]
			assert.Truef(t, tt.want(got), "%d calls in %s", got, now.Since(edge()))
			w.increasesTo(3, 3) // want a launch all the same
		}))
	}
}

// logged returns a context with a log up to the verbosity, which said returns.
func logged(t *testing.T, verbosity int) (ctx context.Context, said func() string) {
	logger := ktesting.NewLogger(ktesting.NopTL{}, ktesting.NewConfig(ktesting.BufferLogs(true), ktesting.Verbosity(verbosity)))
	return klog.NewContext(t.Context(), logger), logger.GetSink().(ktesting.Underlier).GetBuffer().String
}

// Most clusters have no zonal shift, and many a role lacks the permission to see one. Neither is news, as before the autoscaler looked.
func TestShiftOfAClusterThatCannotBeSeenIsNoNews(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		group fakeaws.AutoScalingGroup
		fault fakeaws.Fault
		lines int
	}{
		"the permission lacks":                  {group: ofEKS("a", "prod"), fault: fakeaws.Fault{Code: "AccessDeniedException"}},
		"the endpoint does not answer":          {group: ofEKS("a", "prod"), fault: fakeaws.Fault{Latency: fakeaws.Duration(time.Hour)}},
		"another cluster's shift":               {group: ofEKS("a", "prod")},
		"a group enables shifts, no permission": {group: shiftable("a"), fault: fakeaws.Fault{Code: "AccessDeniedException"}, lines: 1},
	} {
		t.Run(name, bubbled(func(t *testing.T) {
			ctx, said := logged(t, 4)
			other := ofEKS("b", "other")
			other.ClusterShiftedZones = []string{"us-west-2a"}
			w := newWorld(t, tt.group, other).with(func(o *asg.Options) { o.Cluster = "prod" })
			if tt.fault.Action = "ListManagedResources"; tt.fault.Code != "" || tt.fault.Latency > 0 {
				w.aws.Inject(tt.fault)
			}
			began := time.Now()
			w.must(w.cache.Start(ctx))
			if tt.lines == 0 {
				assert.LessOrEqual(t, time.Since(began), 3*time.Second, "time until the first loop")
			}
			ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
			defer cancel()
			w.must(w.cache.Run(ctx))
			got := strings.Count(strings.ToLower(said()), "zonal shifts")
			assert.Equalf(t, tt.lines, got, "lines about zonal shifts:\n%s", said())
		}))
	}
}
