package asg_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// The next look at the failures of groups in motion is an hour away here.
func TestReportedLaunchFailureIsReadAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 0, 10)).with(func(o *asg.Options) { o.MotionInterval = time.Hour }).running()
		w.aws.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
		w.increase(1)
		w.waitWhile("no want of capacity is known", func() bool {
			w.cache.LaunchFailed("a")
			f := w.group("a").Failure
			return f == nil || f.Code != "InsufficientInstanceCapacity"
		})
	})
}

func TestManyReportedLaunchFailuresAreReadOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 0, 10)).with(func(o *asg.Options) { o.Clock, o.MotionInterval = clockAt(time.Minute), time.Hour }).running()
	w.aws.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	w.increase(1)
	w.aws.ResetCalls()
	for range 50 {
		w.cache.LaunchFailed("a")
		w.refresh()
	}
	w.waitWhile("the activities have not been read", func() bool { return w.aws.Calls()["DescribeScalingActivities"] == 0 })
	assert.Equal(t, 1, w.aws.Calls()["DescribeScalingActivities"], "times the activities were read at one moment, want once")
}

// Nobody need allow anything where credentials have expired.
func TestOnlyADeniedLookHasARemedy(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{"AccessDenied": true, "ExpiredToken": false, "InternalFailure": false} {
		t.Run(code, bubbled(func(t *testing.T) {
			w := short(t)
			w.refresh()
			w.aws.Inject(fakeaws.Fault{Action: activitiesCall, Code: code})
			logger := ktesting.NewLogger(t, ktesting.NewConfig(ktesting.BufferLogs(true)))
			w.waitWhile("AWS has not been asked", func() bool {
				asg.ReadFailures(w.cache, klog.NewContext(t.Context(), logger))
				return w.aws.Calls()[activitiesCall] == 0
			})
			log := logger.GetSink().(ktesting.Underlier).GetBuffer().String()
			assert.Equalf(t, want, strings.Contains(log, "allow autoscaling:DescribeScalingActivities"), "the remedy is in the log %q", log)
		}))
	}
}

// AWS may put fewer activities on a page than it was asked for.
func TestSmallPagesOfActivitiesAreReadToTheirEnd(t *testing.T) {
	t.Parallel()
	bubbled(func(t *testing.T) {
		w := short(t)
		for activities := 0; activities < 60; time.Sleep(time.Second) {
			out, err := w.calls.AutoScaling.DescribeScalingActivities(t.Context(), &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: aws.String("a")})
			w.must(err)
			activities = len(out.Activities)
		}
		w.calls.pageSize = aws.Int32(5)
		w.withdraws(1, 1, 4)
		w.calls.endless = true
		taken, err := w.cache.Withdraw(t.Context(), "a", 1)
		assert.Truef(t, taken == 0 && err != nil && w.desired("a") == 4, "withdrew %d though the pages have no end, error %v", taken, err)
	})(t)
}

func TestFailuresOfOneKindShareOneMessage(t *testing.T) {
	failed := func(code, zone string, class awsmessage.Class, types ...string) cooldown.Failures {
		var list cooldown.Failures
		for _, name := range types {
			list = append(list, cooldown.Failure{Code: code, Class: class, Message: "no " + name,
				Pool: cooldown.Pool{InstanceType: name, Zone: zone, CapacityType: awsmessage.Spot}})
		}
		return list
	}
	for _, tt := range []struct {
		name     string
		failures cooldown.Failures
		want     string
	}{
		{name: "one", failures: failed("Unfulfillable", "z1", awsmessage.NoCapacity, "a"), want: "Unfulfillable (spot a z1): no a"},
		{name: "three", failures: failed("Unfulfillable", "z1", awsmessage.NoCapacity, "a", "b", "c"), want: "Unfulfillable (spot a, b, c z1): no a"},
		{name: "five", failures: failed("Unfulfillable", "z1", awsmessage.NoCapacity, "a", "b", "c", "d", "e"),
			want: "Unfulfillable (spot a, b, c and 2 more z1): no a"},
		{name: "twice the same", failures: failed("Unfulfillable", "z1", awsmessage.NoCapacity, "a", "a"), want: "Unfulfillable (spot a z1): no a"},
		{name: "two zones", failures: append(failed("Unfulfillable", "z1", awsmessage.NoCapacity, "a", "b"), failed("Unfulfillable", "z2", awsmessage.NoCapacity, "a")...),
			want: "Unfulfillable (spot a, b z1): no a; Unfulfillable (spot a z2): no a"},
		{name: "two codes", failures: append(failed("Unfulfillable", "z1", awsmessage.NoCapacity, "a"), failed("VcpuLimitExceeded", "z1", awsmessage.Quota, "b")...),
			want: "Unfulfillable (spot a z1): no a; VcpuLimitExceeded (spot b z1): no b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, got, _ := strings.Cut((&asg.LaunchError{Group: "g", Failures: tt.failures}).Error(), `"g": `)
			assert.Empty(t, cmp.Diff(tt.want, got), "error (-want +got)")
		})
	}
}

func TestManyTypesMakeShortFailure(t *testing.T) {
	t.Parallel()
	g := mixing(scalingGroup("a", 0, 0, 9))
	g.Zones = []string{"us-west-2a", "us-west-2b", "us-west-2c"}
	var types []fakeaws.InstanceType
	for i := range 300 {
		name := fmt.Sprintf("x%d.large", i)
		types = append(types, fakeaws.InstanceType{Name: name, VCPU: 2, MemoryMiB: 8192})
		g.MixedInstancesPolicy.Overrides = append(g.MixedInstancesPolicy.Overrides, fakeaws.Override{InstanceType: name})
	}
	config := having(g)
	config.InstanceTypes = types
	w := newWorldOf(t, config, discovered).with(synchronous).started()
	w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
	ctx, said := logged(t, 5)
	err := w.cache.Increase(ctx, "a", 1)
	var failed *asg.LaunchError
	require.Truef(t, errors.As(err, &failed) && len(failed.Failures) >= 300,
		"error = %.300v, want a LaunchError with 300 failures or more", err)
	if text := err.Error(); len(text) > 2000 || !strings.Contains(text, "x0.large, x1.large, x2.large and 297 more us-west-2a") {
		t.Errorf("error of %d bytes that begins with %.400s", len(text), text)
	}
	assert.Equal(t, len(g.Zones), strings.Count(said(), "AWS could not launch"), "lines of the log that say that AWS could not launch")
}
