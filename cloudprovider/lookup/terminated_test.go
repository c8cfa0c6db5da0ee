package lookup

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
)

// readings are two readings of a group with two instances, between which only a tag of the group changes.
func readings(t *testing.T) (before, after *asg.Snapshot) {
	t.Helper()
	g := inZones("a")
	g.Desired, g.Tags = 2, map[string]string{"enabled": "true"}
	server, err := fakeaws.Start(t.Context(), fakeaws.Config{Region: "cn-northwest-1", LaunchTemplates: limited().LaunchTemplates,
		AutoScalingGroups: []fakeaws.AutoScalingGroup{g}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": server.URL(), "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"} {
		t.Setenv(name, value)
	}
	clients, err := awsclient.New(t.Context(), awsclient.Options{Region: server.Region()})
	if err != nil {
		t.Fatal(err)
	}
	cache := asg.NewCache(asg.Options{AutoScaling: clients.AutoScaling, Launches: launchspec.APIs{EC2: clients.EC2, EKS: clients.EKS},
		Discovery: asg.Discovery{Filters: []asg.TagFilter{{{Key: "enabled"}}}}, RefreshInterval: time.Minute, MotionInterval: time.Minute,
		Clock: clock.RealClock{}})
	if err := cache.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	before = cache.Snapshot()
	team := "dsp"
	if err := server.SetTags("g", map[string]*string{"team": &team}); err != nil {
		t.Fatal(err)
	}
	if err := cache.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after = cache.Snapshot(); after.Group("g") == before.Group("g") {
		t.Fatal("the second reading has the same group")
	}
	return before, after
}

func TestMissingInstancesAreForgottenAfterAnHour(t *testing.T) {
	before, _ := readings(t)
	now := clocktesting.NewFakeClock(time.Now())
	d := NewTerminated(nil, now)
	d.Compare(before, &asg.Snapshot{})
	if len(d.open) != 2 {
		t.Fatalf("%d instances are looked for, want 2", len(d.open))
	}
	d.terminated["i-0"] = now.Now()
	now.Step(terminatedAge + time.Second)
	d.Compare(&asg.Snapshot{}, &asg.Snapshot{})
	if len(d.open)+len(d.terminated) > 0 {
		t.Errorf("still kept an hour later: %v, %v", d.open, d.terminated)
	}
}

// inStates answers with instances in these states, by ID, or with an error.
type inStates struct {
	states map[string]ec2types.InstanceStateName // "" for an instance without a state
	err    error
}

func (s inStates) DescribeInstances(context.Context, *ec2.DescribeInstancesInput, ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error) {
	out := &ec2.DescribeInstancesOutput{}
	for id, state := range s.states {
		i := ec2types.Instance{InstanceId: &id}
		if state != "" {
			i.State = &ec2types.InstanceState{Name: state}
		}
		out.Reservations = append(out.Reservations, ec2types.Reservation{Instances: []ec2types.Instance{i}})
	}
	return out, s.err
}

func TestStateDecidesWhetherInstanceIsTerminated(t *testing.T) {
	for _, tt := range []struct {
		name     string
		ec2      inStates
		wantGone bool
	}{
		{name: "terminated", ec2: inStates{states: map[string]ec2types.InstanceStateName{"i-1": ec2types.InstanceStateNameTerminated}}, wantGone: true},
		{name: "shutting down", ec2: inStates{states: map[string]ec2types.InstanceStateName{"i-1": ec2types.InstanceStateNameShuttingDown}}, wantGone: true},
		{name: "forgotten", ec2: inStates{}, wantGone: true},
		{name: "running", ec2: inStates{states: map[string]ec2types.InstanceStateName{"i-1": ec2types.InstanceStateNameRunning}}},
		{name: "stopped", ec2: inStates{states: map[string]ec2types.InstanceStateName{"i-1": ec2types.InstanceStateNameStopped}}},
		{name: "in no state", ec2: inStates{states: map[string]ec2types.InstanceStateName{"i-1": ""}}},
		{name: "not to be asked", ec2: inStates{err: errors.New("denied")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := NewTerminated(tt.ec2, clocktesting.NewFakeClock(time.Now()))
			d.open["i-1"] = time.Now()
			if err := d.lookUp(t.Context()); !errors.Is(err, tt.ec2.err) {
				t.Errorf("lookUp = %v, want %v", err, tt.ec2.err)
			}
			if got := d.Has("i-1"); got != tt.wantGone {
				t.Errorf("gone: %t, want %t", got, tt.wantGone)
			}
		})
	}
}

func TestPresentInstanceIsNotLookedUp(t *testing.T) {
	before, after := readings(t)
	d := NewTerminated(nil, clocktesting.NewFakeClock(time.Now()))
	d.Compare(before, after)
	if len(d.open)+len(d.terminated) > 0 {
		t.Errorf("missing %v and gone %v of a group that lost no instance", d.open, d.terminated)
	}
}
