package asg_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// A failed launch affects the group, another group of its type, and a group of another type differently.
func TestFailureCoolsDownPools(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		code  string
		text  string
		class awsmessage.Class
		rest  time.Duration
		same  bool // so does another group of the same type and zone
		other bool // and one of another type
	}{
		{name: "no capacity", code: "InsufficientInstanceCapacity", class: awsmessage.NoCapacity, rest: 3 * time.Minute, same: true},
		{name: "no addresses", code: "InsufficientFreeAddressesInSubnet", text: "There are not enough free addresses in subnet 'subnet-1' to satisfy the requested number of instances.",
			class: awsmessage.NoCapacity, rest: 3 * time.Minute},
		{name: "a reservation that is full", code: "ReservationCapacityExceeded", class: awsmessage.NoCapacity, rest: 3 * time.Minute},
		{name: "quota", code: "VcpuLimitExceeded", text: "You have requested more vCPU capacity than your current vCPU limit of 32 allows for the instance bucket that the specified instance type belongs to.",
			class: awsmessage.Quota, rest: 5 * time.Minute, same: true},
		{name: "configuration", code: "InvalidKeyPair.NotFound", text: "The key pair 'gone' does not exist", class: awsmessage.Configuration, rest: 15 * time.Minute},
		{name: "throttled", code: "RequestLimitExceeded"},
		{name: "a fault of AWS's own", code: "InternalError"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := clockAt(time.Minute)
			other := scalingGroup("other", 0, 0, 10)
			other.LaunchTemplate = &fakeaws.LaunchTemplateRef{Name: "gpus", Version: "1"}
			gpus := workers("g5.xlarge")
			gpus.Name = "gpus"
			w := newWorldOf(t, fakeaws.Config{Delays: quick, LaunchTemplates: []fakeaws.LaunchTemplate{workers("m5.large"), gpus},
				AutoScalingGroups: []fakeaws.AutoScalingGroup{scalingGroup("a", 0, 0, 10), scalingGroup("same", 0, 0, 10), other}},
				ownership.Discovery{Filters: []ownership.TagFilter{{{Key: discoveryTag}}}}).
				with(func(o *asg.Options) { o.LaunchMode, o.Clock = asg.LaunchAuto, now }).started()
			now.Step(20 * time.Minute) // no failure can be an old one
			w.aws.AddShortage(fakeaws.Shortage{Group: "a", Code: tt.code, Message: tt.text})
			_, err := w.cache.Increase(t.Context(), "a", 2)
			if err == nil || !strings.Contains(err.Error(), tt.code) {
				t.Fatalf("error = %v, want one with %s", err, tt.code)
			}
			for name, want := range map[string]bool{"a": tt.rest > 0, "same": tt.same, "other": tt.other} {
				rest, resting := w.cache.CoolDown(w.group(name))
				if resting != want || resting && (rest.Class != tt.class || rest.Until.Sub(now.Now()) != tt.rest) {
					t.Errorf("group %s rests: %t, %+v, want %t as %s for %s", name, resting, rest, want, tt.class, tt.rest)
				}
			}
		})
	}
}

func TestDeniedAutoScalingCoolsDownGroup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 0, 10), scalingGroup("same", 0, 0, 10)).running()
		w.aws.AddShortage(fakeaws.Shortage{Group: "a", Code: "UnauthorizedOperation", Message: "You are not authorized to perform this operation."})
		w.increase(1)
		w.eventually(func() string {
			if rest, resting := w.cache.CoolDown(w.group("a")); !resting || rest.Class != awsmessage.Permission {
				return fmt.Sprintf("it rests: %t, %+v", resting, rest)
			}
			return ""
		})
		if _, resting := w.cache.CoolDown(w.group("same")); resting {
			t.Error("so does another group")
		}
	})
}

func TestNewLaunchSpecEndsCoolDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 0, 10)).with(synchronous).running()
	w.aws.AddShortage(fakeaws.Shortage{Group: "a", Code: "InvalidKeyPair.NotFound"})
	if _, err := w.cache.Increase(t.Context(), "a", 1); err == nil {
		t.Fatal("launched with a key pair that does not exist")
	}
	if _, resting := w.cache.CoolDown(w.group("a")); !resting {
		t.Fatal("the group does not rest")
	}
	latest := scalingGroup("a", 0, 0, 10)
	latest.LaunchTemplate = &fakeaws.LaunchTemplateRef{Name: "workers", Version: "2"}
	template := workers("m5.large")
	template.Versions = append(template.Versions, fakeaws.LaunchTemplateVersion{ImageID: "ami-0abc", InstanceType: "m5.large", UserData: "mended"})
	w.must(w.aws.PutLaunchTemplate(template))
	w.must(w.aws.DeleteGroup("a"))
	w.must(w.aws.AddGroup(latest))
	w.refresh()
	w.eventually(func() string {
		if w.group("a").LaunchSpec == nil {
			return "the new template has not been read"
		}
		if rest, resting := w.cache.CoolDown(w.group("a")); resting {
			return "it rests: " + rest.Message
		}
		return ""
	})
}
