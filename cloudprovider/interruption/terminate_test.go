package interruption

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/record"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

func TestRefusalNamesPermission(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&smithy.GenericAPIError{Code: "AccessDenied", Message: "User: x is not authorized"},
			`AccessDenied: User: x is not authorized; allow autoscaling:TerminateInstanceInAutoScalingGroup on it`},
		{&smithy.GenericAPIError{Code: "ScalingActivityInProgress", Message: "wait"},
			`ScalingActivityInProgress: wait`},
		{errors.New("no route to host"), "no route to host"},
	} {
		assert.Equal(t, tt.want, refusal(tt.err, "autoscaling:TerminateInstanceInAutoScalingGroup"))
	}
}

// A pod may also be deleted because its eviction was never answered.
func TestEventBlamesABudgetOnlyIfOneRefused(t *testing.T) {
	for _, tt := range []struct {
		forced, held bool
		want         string
	}{
		{false, false, "Evicted"},
		{false, true, "Evicted"},
		{true, false, "Deleted without an eviction, because the time is over,"},
		{true, true, "Deleted against its disruption budget, because the time is over,"},
	} {
		events := record.NewFakeRecorder(1)
		h := &Handler{Options: Options{Events: events, Clock: clocktesting.NewFakeClock(time.Now())}}
		pod := &corev1.Pod{Spec: corev1.PodSpec{NodeName: "n"}}
		h.reportMoved(pod, tt.forced, tt.held)
		assert.Equal(t, "Normal NodeInterrupted "+tt.want+" from node n, which is interrupted", <-events.Events)
		nodemeta.DoNotDisrupt.Set(pod, "true")
		h.reportMoved(pod, tt.forced, tt.held)
		assert.Equal(t, "Normal NodeInterrupted "+tt.want+" from node n, which is interrupted, although it asks to be left alone", <-events.Events)
	}
}
