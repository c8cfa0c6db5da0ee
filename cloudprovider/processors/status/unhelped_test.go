package status

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaleup/orchestrator"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupset"
	scaleup "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	kube_util "k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	testclock "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// unhelpedWorld is a world with a report of decisions and a clock.
type unhelpedWorld struct {
	*zonalWorld
	unhelped *Unhelped
	now      *testclock.FakePassiveClock
	report   *decision.Report
	read     int // reports
}

func newUnhelpedWorld(t *testing.T, names ...string) *unhelpedWorld {
	t.Helper()
	var groups []fakeaws.AutoScalingGroup
	for _, name := range names {
		groups = append(groups, awsworld.Group(name, "m5.large", 0, 0, 5, nil))
	}
	w := &unhelpedWorld{zonalWorld: newZonalWorld(t, awsworld.New(t, nil, groups...)),
		now: testclock.NewFakePassiveClock(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)), report: &decision.Report{}}
	w.unhelped = NewUnhelped(Unhelped{Core: &scaleup.EventingScaleUpStatusProcessor{}, Report: func() *decision.Report { w.read++; return w.report }, Clock: w.now,
		Raises: func(s *scaleup.ScaleUpStatus) []*scaleup.ScaleUpStatus { return []*scaleup.ScaleUpStatus{s} }, Recorder: w.recorder})
	return w
}

// loop is a loop that ends with the result and helps none of the pods.
func (w *unhelpedWorld) loop(result scaleup.ScaleUpResult, pods ...*corev1.Pod) []string {
	s := &scaleup.ScaleUpStatus{Result: result, ConsideredNodeGroups: w.NodeGroups()}
	for _, pod := range pods {
		s.PodsRemainUnschedulable = append(s.PodsRemainUnschedulable, scaleup.NoScaleUpInfo{Pod: pod,
			SkippedNodeGroups: map[string]scaleup.Reasons{"web": orchestrator.MaxLimitReachedReason}})
	}
	w.unhelped.Process(w.ctx, s)
	w.unhelped.Publish()
	return w.published()
}

// says puts a cause of a pod into the report.
func (w *unhelpedWorld) says(pod *corev1.Pod, cause string) {
	w.report = &decision.Report{Pods: []decision.Pod{{UID: string(pod.UID), Cause: decision.Reason{Message: cause}}}}
}

func born(pod *corev1.Pod, at time.Time) *corev1.Pod {
	pod.CreationTimestamp = metav1.NewTime(at)
	return pod
}

func TestEventOnPodHasTheReportsCause(t *testing.T) {
	w := newUnhelpedWorld(t, "web")
	pod := born(pending("one", "1", nil), w.now.Now())
	w.says(pod, `group "web" has its maximum size of 5`)
	got := w.loop(scaleup.ScaleUpNoOptionsAvailable, pod)
	want := []string{`Normal NotTriggerScaleUp pod didn't trigger scale-up: group "web" has its maximum size of 5`}
	assert.Empty(t, cmp.Diff(want, got), "events (-want +got)")
}

func TestEventWithoutCauseHasTheCoresWords(t *testing.T) {
	for name, report := range map[string]*decision.Report{"no pod": {}, "another pod": {Pods: []decision.Pod{{UID: "other", Cause: decision.Reason{Message: "x"}}}}} {
		t.Run(name, func(t *testing.T) {
			w := newUnhelpedWorld(t, "web")
			w.report = report
			got := w.loop(scaleup.ScaleUpNoOptionsAvailable, pending("one", "1", nil))
			assert.Empty(t, cmp.Diff([]string{"Normal NotTriggerScaleUp pod didn't trigger scale-up: 1 max node group size reached"}, got), "events (-want +got)")
		})
	}
}

func TestSameCauseIsRepeatedAfterTenMinutes(t *testing.T) {
	w := newUnhelpedWorld(t, "web")
	pod := born(pending("one", "1", nil), w.now.Now())
	w.says(pod, "a")
	var at []time.Duration
	start := w.now.Now()
	for range 125 {
		if len(w.loop(scaleup.ScaleUpNoOptionsAvailable, pod)) > 0 {
			at = append(at, w.now.Since(start))
		}
		w.now.SetTime(w.now.Now().Add(10 * time.Second))
	}
	assert.Truef(t, len(at) == 2 && at[0] == 0 && at[1] >= causeAgain, "events at %v, want one at once and one after %v", at, causeAgain)
	assert.Truef(t, w.read <= 15, "the report was read %d times in 125 loops, want few", w.read)
}

func TestOtherResultsPublishNoCause(t *testing.T) {
	w := newUnhelpedWorld(t, "web")
	pod := pending("one", "1", nil)
	w.says(pod, "a")
	for _, result := range []scaleup.ScaleUpResult{scaleup.ScaleUpSuccessful, scaleup.ScaleUpError} {
		assert.Emptyf(t, w.loop(result, pod), "result %d: events, want none", result)
	}
	assert.Len(t, w.loop(scaleup.ScaleUpLimitedByMaxNodesTotal, pod), 1, "events of a full cluster, want one")
}

func TestCoreStillPublishesLaunches(t *testing.T) {
	w := newUnhelpedWorld(t, "web")
	w.unhelped.Process(w.ctx, &scaleup.ScaleUpStatus{Result: scaleup.ScaleUpSuccessful, PodsTriggeredScaleUp: []*corev1.Pod{pending("one", "1", nil)},
		ScaleUpInfos: []nodegroupset.ScaleUpInfo{{Group: w.NodeGroup("web"), NewSize: 1, MaxSize: 5}}})
	w.unhelped.Publish()
	got := w.published()
	assert.Truef(t, len(got) == 1 && w.read == 0, "events %q after %d reports, want one after none", got, w.read)
}

func TestPodsThatLeftAreForgotten(t *testing.T) {
	w := newUnhelpedWorld(t, "web")
	pod := born(pending("one", "1", nil), w.now.Now())
	w.loop(scaleup.ScaleUpNoOptionsAvailable, pod)
	w.now.SetTime(w.now.Now().Add(causeAgain))
	w.loop(scaleup.ScaleUpNotNeeded)
	assert.Empty(t, w.unhelped.said, "pods are remembered, want none")
}

// The API server gets the second cause of a pod seconds after the first, through a recorder as the process makes it.
func TestChangedCauseReachesTheAPIServer(t *testing.T) {
	w := newUnhelpedWorld(t, "web")
	said := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		var e corev1.Event
		assert.NoError(t, json.NewDecoder(r.Body).Decode(&e))
		said <- e.Message
		answer.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(answer).Encode(&e)
	}))
	t.Cleanup(server.Close)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
	require.NoError(t, err)
	w.unhelped.Recorder = kube_util.CreateEventRecorder(t.Context(), client, true)
	pod := born(pending("one", "1", nil), w.now.Now())
	for _, cause := range []string{"a", "b", "a"} {
		w.says(pod, cause)
		w.loop(scaleup.ScaleUpNoOptionsAvailable, pod)
		w.now.SetTime(w.now.Now().Add(causeCheckSoon))
		select {
		case got := <-said:
			want := "pod didn't trigger scale-up: " + cause
			assert.Truef(t, got == want, "event %q, want %q", got, want)
		case <-time.After(time.Minute):
			t.Fatalf("no event with the cause %q", cause)
		}
	}
}

func TestEventNamesGroupsThatGrewForThePod(t *testing.T) {
	w := newUnhelpedWorld(t, "api", "web")
	grew := func(group, pod string) *scaleup.ScaleUpStatus {
		return &scaleup.ScaleUpStatus{PodsTriggeredScaleUp: []*corev1.Pod{pending(pod, "1", nil)},
			ScaleUpInfos: []nodegroupset.ScaleUpInfo{{Group: w.NodeGroup(group), NewSize: 1, MaxSize: 5}}}
	}
	parts := []*scaleup.ScaleUpStatus{grew("api", "one"), grew("web", "two")}
	w.unhelped.Raises = func(*scaleup.ScaleUpStatus) []*scaleup.ScaleUpStatus { return parts }
	w.unhelped.Process(w.ctx, &scaleup.ScaleUpStatus{Result: scaleup.ScaleUpSuccessful})
	events := w.published()
	slices.Sort(events)
	if len(events) != 2 || !strings.Contains(events[0], "{api 0->1 (max: 5)}") || !strings.Contains(events[1], "{web 0->1 (max: 5)}") {
		t.Errorf("events %q, want one with each group", events)
	}
}
