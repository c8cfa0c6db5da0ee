package lookup

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/stretchr/testify/assert"
	clocktesting "k8s.io/utils/clock/testing"
)

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
			d.Want("i-1")
			assert.ErrorIs(t, d.lookUp(t.Context()), tt.ec2.err, "lookUp")
			got, _ := d.Known().Of("i-1")
			assert.Equal(t, tt.wantGone, got, "gone")
		})
	}
}
