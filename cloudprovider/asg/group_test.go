package asg_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestOperatedGroupIsLeftAlone(t *testing.T) {
	t.Parallel()
	theirs, ours := scalingGroup("theirs", 0, 2, 5), scalingGroup("ours", 0, 0, 5)
	theirs.Operator = "eks.amazonaws.com"
	w := newWorld(t, theirs, ours).started()
	if w.cache.Snapshot().Group("theirs") != nil || w.cache.Snapshot().Group("ours") == nil {
		t.Fatalf("groups %v, want the one without an operator alone", w.cache.Snapshot().Groups())
	}
	foreign := w.cache.Snapshot().Foreign()
	if len(foreign) != 1 || len(foreign[0].Problems) != 1 || foreign[0].Problems[0].Reason != ownership.ReasonOperator ||
		!strings.Contains(foreign[0].Problems[0].Message, `"eks.amazonaws.com"`) {
		t.Fatalf("left alone are %+v, want one with a problem that names its operator", foreign)
	}
	var refused *ownership.OtherClusterError
	if _, err := w.cache.Increase(t.Context(), "theirs", 1); !errors.As(err, &refused) {
		t.Errorf("Increase = %v, want an OtherClusterError", err)
	}
	if _, err := w.cache.Terminate(t.Context(), "theirs", []string{foreign[0].Instances[0].ID}); !errors.As(err, &refused) {
		t.Errorf("Terminate = %v, want an OtherClusterError", err)
	}
	if state, _ := w.aws.Group("theirs"); state.Desired != 2 || len(state.Instances) != 2 {
		t.Errorf("the group has %d instances of %d desired, want its 2", len(state.Instances), state.Desired)
	}
}

func TestCapacityTypeOfPolicy(t *testing.T) {
	t.Parallel()
	g := scalingGroup("g", 0, 0, 5)
	g.LaunchTemplate, g.ZonalShift = nil, true
	g.CapacityReservations = &fakeaws.CapacityReservations{Preference: "capacity-reservations-first", IDs: []string{"cr-1"}, Groups: []string{"arn:g"}}
	g.MixedInstancesPolicy = &fakeaws.MixedInstancesPolicy{LaunchTemplate: fakeaws.LaunchTemplateRef{Name: "workers"},
		Distribution: fakeaws.Distribution{Segments: [][]string{{"capacity-block", "on-demand"}, {"on-demand"}}}}
	got := newWorld(t, g).started().group("g")
	if diff := cmp.Diff([][]string{{"capacity-block", "on-demand"}, {"on-demand"}}, got.Source.Segments); diff != "" {
		t.Errorf("segments (-want +got):\n%s", diff)
	}
	want := group.Reservations{Preference: "capacity-reservations-first", IDs: []string{"cr-1"}, Groups: []string{"arn:g"}}
	if diff := cmp.Diff(want, got.Reservations); diff != "" {
		t.Errorf("reservations (-want +got):\n%s", diff)
	}
	if !got.ZonalShift || got.ImpairedHealth != "IgnoreUnhealthy" {
		t.Errorf("zonal shift %t, unhealthy instances there %q", got.ZonalShift, got.ImpairedHealth)
	}
	if mode, why := asg.AskedFor(got, asg.LaunchAuto); mode != asg.LaunchDesiredCapacity || !strings.Contains(why, "distribution segments") {
		t.Errorf("asked for by %s: %s, want the desired capacity for its segments", mode, why)
	}
	if !got.Source.PaidAhead() {
		t.Error("capacity blocks count as on-demand")
	}
}
