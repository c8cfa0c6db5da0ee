package status

import (
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

const (
	// reasonNotTriggered is the core's reason of the event on a pod that no node group helps.
	reasonNotTriggered = "NotTriggerScaleUp"
	// causeAgain is how long after its event a pod gets another one with the same text.
	causeAgain = 10 * time.Minute
	// causeCheckSoon is the least time between two looks for another cause of a pod. The time is half the pod's age otherwise, up to
	// causeAgain. A change mostly comes soon after the pod. With --record-duplicated-events each loop looks and publishes.
	causeCheckSoon = 10 * time.Second
)

// Unhelped publishes an event on each pod that no node group helps. Its text is the cause that the last Report gives, so that event,
// page and asgctl say the same. A pod gets the same text once in ten minutes, and another text when the cause changes.
//
// It implements the core's ScaleUpStatusProcessor in the place of the core's own, which publishes the other events. The goroutine of
// the core's loop alone uses it.
type Unhelped struct {
	Core corestatus.ScaleUpStatusProcessor
	// Raises takes the status of a loop apart: one status for each scale-up, with its own groups and pods. So the events on pods name only the
	// groups that grew for them.
	Raises func(*corestatus.ScaleUpStatus) []*corestatus.ScaleUpStatus
	// Report returns the decisions of the loops, the last one included when Publish is called.
	Report func() *decision.Report
	// Recorder is not the core's, which drops the second event of a reason on a pod within five minutes, whatever its text.
	Recorder record.EventRecorder
	EachLoop bool // --record-duplicated-events
	Clock    clock.PassiveClock

	again   time.Duration // causeAgain, or 0 for an event in each loop
	result  corestatus.ScaleUpResult
	waiting []corestatus.NoScaleUpInfo // of the loop under way
	groups  map[string]cloudprovider.NodeGroup
	said    map[types.UID]lastSaid
}

type lastSaid struct {
	text string
	at   time.Time
	next time.Time // when to look for another cause
}

func NewUnhelped(u Unhelped) *Unhelped {
	u.said = map[types.UID]lastSaid{}
	if !u.EachLoop {
		u.again = causeAgain
	}
	return &u
}

// Process notes the pods that no group was found for, until Publish. The core publishes all other events.
func (u *Unhelped) Process(ctx *cacontext.AutoscalingContext, s *corestatus.ScaleUpStatus) {
	others := *s
	others.PodsRemainUnschedulable, others.PodsTriggeredScaleUp = nil, slices.DeleteFunc(slices.Clone(s.PodsTriggeredScaleUp), runs)
	for _, raise := range u.Raises(&others) {
		u.Core.Process(ctx, raise)
	}
	if s.Result == corestatus.ScaleUpSuccessful || s.Result == corestatus.ScaleUpError {
		return // as in the core, pods that remain are looked at again at once
	}
	u.result, u.groups = s.Result, nil
	now := u.Clock.Now()
	for _, remaining := range s.PodsRemainUnschedulable {
		if !now.Before(u.said[remaining.Pod.UID].next) {
			u.waiting = append(u.waiting, remaining)
		}
	}
	if len(u.waiting) > 0 {
		u.groups = cloudprovider.NodeGroupListToMapById(s.ConsideredNodeGroups)
	}
}

// runs reports whether a pod runs on a node that is to be replaced. It has waited for nothing, and gets no event.
func runs(pod *corev1.Pod) bool { return nodemeta.Moved.On(pod) }

// Publish publishes the events of the loop, once the report has the loop. Without pods that are due it does not read the report.
func (u *Unhelped) Publish() {
	now := u.Clock.Now()
	maps.DeleteFunc(u.said, func(_ types.UID, last lastSaid) bool { return now.Sub(last.at) >= u.again && !now.Before(last.next) })
	if len(u.waiting) == 0 {
		return
	}
	causes, r := map[types.UID]string{}, u.Report()
	for i := range r.Pods {
		causes[types.UID(r.Pods[i].UID)] = r.Pods[i].Cause.Message
	}
	for _, remaining := range u.waiting {
		u.publish(remaining, causes[remaining.Pod.UID], now)
	}
	u.waiting, u.groups = nil, nil
}

// publish publishes the event on a pod, unless the pod has had it. Without a cause it has the core's words.
func (u *Unhelped) publish(remaining corestatus.NoScaleUpInfo, cause string, now time.Time) {
	pod := remaining.Pod
	if cause == "" {
		cause = corestatus.ReasonsMessage(u.result, remaining, u.groups)
	}
	last, before := u.said[pod.UID]
	wait := min(max(causeCheckSoon, now.Sub(pod.CreationTimestamp.Time)/2), u.again)
	if last.next = now.Add(wait); wait > time.Minute { // old pods are due together: each look makes a report
		last.next = last.next.Truncate(time.Minute)
	}
	if !before || last.text != cause || now.Sub(last.at) >= u.again {
		last.text, last.at = cause, now
		u.Recorder.Event(pod, corev1.EventTypeNormal, reasonNotTriggered, "pod didn't trigger scale-up: "+cause)
	}
	u.said[pod.UID] = last
}

func (u *Unhelped) CleanUp() { u.Core.CleanUp() }
