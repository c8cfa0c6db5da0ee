package aws

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
)

func TestAnInstanceThatLeftItsGroupIsGoneOnlyIfEC2SaysSo(t *testing.T) {
	w := newWorld(t, nil, group("a", "m5.large", 0, 3, 5, nil))
	nodes := w.nodes("a")
	reclaimed, detached, standby := nodes[0], nodes[1], nodes[2]
	id := func(n *corev1.Node) string { id, _ := instanceID(n.Spec.ProviderID); return id }
	for _, deed := range []fakeaws.Deed{
		{Kind: fakeaws.Detach, Group: "a", Instances: []string{id(detached)}},
		{Kind: fakeaws.Standby, Group: "a", Instances: []string{id(standby)}},
	} {
		if err := w.aws.Do(deed); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.aws.Reclaim(id(reclaimed)); err != nil {
		t.Fatal(err)
	}
	w.eventually(func() string {
		if err := w.cache.Refresh(t.Context()); err != nil {
			return err.Error()
		}
		w.refresh()
		if has, err := w.HasInstance(reclaimed); has || err != nil {
			return "the reclaimed instance is not known to be gone"
		}
		return ""
	})
	if has, err := w.HasInstance(detached); !has || err != cloudprovider.ErrNotImplemented {
		t.Errorf("HasInstance of a detached instance = %t, %v, want that it is not ours to judge", has, err)
	}
	if has, err := w.HasInstance(standby); !has || err != nil {
		t.Errorf("HasInstance of an instance in standby = %t, %v, want that it is there", has, err)
	}
}

func TestWhereEC2MayNotBeAskedAnInstanceThatLeftIsLeftToKubernetes(t *testing.T) {
	w := newWorld(t, nil, group("a", "m5.large", 0, 1, 5, nil))
	w.aws.Deny("DescribeInstances")
	n := w.nodes("a")[0]
	id, _ := instanceID(n.Spec.ProviderID)
	if err := w.aws.Do(fakeaws.Deed{Kind: fakeaws.Detach, Group: "a", Instances: []string{id}}); err != nil {
		t.Fatal(err)
	}
	w.eventually(func() string {
		if err := w.cache.Refresh(t.Context()); err != nil {
			return err.Error()
		}
		w.refresh()
		if w.aws.Calls()["DescribeInstances"] == 0 {
			return "EC2 has not been asked"
		}
		return ""
	})
	if has, err := w.HasInstance(n); !has || err != cloudprovider.ErrNotImplemented {
		t.Errorf("HasInstance = %t, %v, want that it is not known", has, err)
	}
}

func TestInstancesThatLeftAreForgottenWhetherEC2ToldOfThemOrNot(t *testing.T) {
	w := newWorld(t, nil, group("a", "m5.large", 0, 2, 5, nil))
	now := clocktesting.NewFakeClock(time.Now())
	d := newDepartures(nil, now)
	d.compare(w.cache.Snapshot(), &asg.Snapshot{})
	if len(d.missing) != 2 {
		t.Fatalf("%d instances are looked for, want 2", len(d.missing))
	}
	d.gone["i-0"] = now.Now()
	now.Step(departedFor + time.Second)
	d.compare(&asg.Snapshot{}, &asg.Snapshot{})
	if len(d.missing)+len(d.gone) > 0 {
		t.Errorf("still kept an hour later: %v, %v", d.missing, d.gone)
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

func TestDepartedInstanceIsGoneByItsState(t *testing.T) {
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
			d := newDepartures(tt.ec2, clocktesting.NewFakeClock(time.Now()))
			d.missing["i-1"] = time.Now()
			if err := d.lookUp(t.Context()); !errors.Is(err, tt.ec2.err) {
				t.Errorf("lookUp = %v, want %v", err, tt.ec2.err)
			}
			if got := d.has("i-1"); got != tt.wantGone {
				t.Errorf("gone: %t, want %t", got, tt.wantGone)
			}
		})
	}
}

func TestInstanceThatStayedIsNotLookedFor(t *testing.T) {
	w := newWorld(t, nil, group("a", "m5.large", 0, 2, 5, nil))
	before := w.cache.Snapshot()
	w.setTag("a", template+"label/team", "dsp")
	w.reread()
	d := newDepartures(nil, clocktesting.NewFakeClock(time.Now()))
	d.compare(before, w.cache.Snapshot())
	if len(d.missing)+len(d.gone) > 0 {
		t.Errorf("missing %v and gone %v of a group that lost no instance", d.missing, d.gone)
	}
}

func TestInstanceThatAWriteShowsToHaveLeftIsLookedFor(t *testing.T) {
	w := newWorld(t, nil, group("a", "m5.large", 0, 3, 5, nil))
	reclaimed := w.nodes("a")[0]
	id, _ := instanceID(reclaimed.Spec.ProviderID)
	if err := w.aws.Reclaim(id); err != nil {
		t.Fatal(err)
	}
	w.eventually(func() string {
		state, _ := w.aws.Group("a")
		if slices.ContainsFunc(state.Instances, func(i fakeaws.InstanceState) bool { return i.ID == id }) {
			return "AWS still lists the reclaimed instance"
		}
		return ""
	})
	if err := w.NodeGroups()[0].IncreaseSize(1); err != nil { // reads the group, and the loop goes on by that reading
		t.Fatal(err)
	}
	w.refresh()
	w.eventually(func() string {
		if has, err := w.HasInstance(reclaimed); has || err != nil {
			return "the reclaimed instance is not known to be gone"
		}
		return ""
	})
}
