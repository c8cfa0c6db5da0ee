package lookup

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/stretchr/testify/assert"
	clocktesting "k8s.io/utils/clock/testing"
)

// fromImages answers with instances and their images, and counts the calls.
type fromImages struct {
	images map[string]string
	calls  int
	all    bool // whatever is asked for
}

func (f *fromImages) DescribeInstances(_ context.Context, in *ec2.DescribeInstancesInput, _ ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error) {
	f.calls++
	out := &ec2.DescribeInstancesOutput{}
	ids := in.Filters[0].Values
	if f.all {
		ids = slices.Sorted(maps.Keys(f.images))
	}
	for _, id := range ids {
		if image, known := f.images[id]; known {
			out.Reservations = append(out.Reservations, ec2types.Reservation{Instances: []ec2types.Instance{{InstanceId: &id, ImageId: &image}}})
		}
	}
	return out, nil
}

func TestImageIsAskedForOnceADay(t *testing.T) {
	api, now := &fromImages{images: map[string]string{"i-1": "ami-1"}}, clocktesting.NewFakeClock(time.Now())
	c := NewImages(api, now)
	for range 100 {
		c.Want("i-1", "i-gone")
		c.Once(t.Context())
		now.Step(imagesAge / 101)
	}
	image, _ := c.Known().Of("i-1")
	assert.Truef(t, image == "ami-1" && api.calls == 1, "image %q after %d calls, want ami-1 after one", image, api.calls)
	image, known := c.Known().Of("i-gone")
	assert.Falsef(t, known, "an instance that EC2 does not have has the image %q", image)
	now.Step(imagesAge)
	c.Want("i-2")
	_, known = c.Known().Of("i-1")
	assert.False(t, known, "an instance that nobody asks for any more is still remembered")
}

// An instance of another cluster among them would keep ours.
func TestInstancesThatNobodyAskedForAreLeftOut(t *testing.T) {
	var seen []string
	api := &fromImages{images: map[string]string{"i-1": "ami-1", "i-2": "ami-2"}, all: true}
	err := DescribeInstances(t.Context(), api, []string{"i-1"}, func(i ec2types.Instance) { seen = append(seen, *i.InstanceId) })
	assert.NoError(t, err)
	assert.Equal(t, []string{"i-1"}, seen, "instances")
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
			d.Want("i-1")
			assert.ErrorIs(t, d.lookUp(t.Context()), tt.ec2.err, "lookUp")
			got, _ := d.Known().Of("i-1")
			assert.Equal(t, tt.wantGone, got, "gone")
		})
	}
}
