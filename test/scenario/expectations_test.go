package scenario

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// Each row holds or does not hold in one state: a rule that always holds, or never, fails in a row.
func TestExpectationsHoldOnlyWhereTheyAreTrue(t *testing.T) {
	s := groupScript(t, 2)
	s.binary, s.Env.autoscaler = filepath.Join(t.TempDir(), "program"), scrapePage(t)
	log := filepath.Join(t.TempDir(), "log")
	for path, text := range map[string]string{log: "W1 Scaled a group down\nW2 Scaled a group down\n", s.binary: "Scaled a group up with a/other"} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	s.logs = []string{log}
	pod := func(name string, phase corev1.PodPhase, leaving bool) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", Labels: map[string]string{"app": "web"}}, Status: corev1.PodStatus{Phase: phase}}
		if leaving {
			p.DeletionTimestamp, p.Finalizers = &metav1.Time{Time: time.Now()}, []string{"a/b"}
		}
		return p
	}
	node := func(name string, ready corev1.ConditionStatus) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"team": "web"}}, Status: corev1.NodeStatus{
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionTrue}, {Type: corev1.NodeReady, Status: ready}}}}
	}
	marked := node("marked", corev1.ConditionFalse)
	marked.Spec.Taints = []corev1.Taint{{Key: "a/marked"}}
	s.client = fake.NewClientset(
		marked, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: statusConfigMap, Namespace: serviceAccountNamespace}, Data: map[string]string{"status": stockStatus}},
		pod("runs", corev1.PodRunning, false), pod("leaves", corev1.PodRunning, true), pod("waits", corev1.PodPending, false),
		node("ready", corev1.ConditionTrue), node("starting", corev1.ConditionFalse),
		&corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: "one", Namespace: "default"}, Reason: "Interruption", Message: "Cordoned a node", Count: 2},
	)
	for words, holds := range map[string]bool{
		"desired g 2": true, "desired g 1": false, "desired g 3": false,
		"running app=web 1": true, "running app=web 0": false, "running app=web 2": false, "running app=web 3": false,
		"nodes team=web 1": true, "nodes team=web 2": false,
		"tainted a/marked 1": true, "tainted a/marked 2": false, "tainted a/other 0": true,
		"status ^g:.*target.3": true, "status ^Running,.Healthy,.1.of.1": true, "status ^g:.*target.2": false,
		"calls LaunchInstances 0": true, "calls LaunchInstances 1": false,
		"event Interruption Cord.n": true, "event Interruption Drained": false,
		"events Interruption 2": true, "events Interruption 1": false,
		"ready": true, "unready": false,
		"log Scaled.a": true, "log Drained": false,
		"metric cluster_autoscaler_scaled_up_nodes_total == 5": true, "metric cluster_autoscaler_scaled_up_nodes_total == 4": false,
		"metric cluster_autoscaler_scaled_up_nodes_total >= 5": true, "metric cluster_autoscaler_scaled_up_nodes_total >= 6": false,
		"metric cluster_autoscaler_scaled_up_nodes_total <= 5": true, "metric cluster_autoscaler_scaled_up_nodes_total <= 4": false,
	} {
		err := s.expect(append([]string{"50ms"}, strings.Fields(words)...))
		assert.Truef(t, (!holds || err == nil) && (holds || err != nil && strings.Contains(err.Error(), "waited 50ms")),
			"expect %s: error %v, want it to hold: %t", words, err, holds)
	}
	for _, words := range []string{"tainted a/another 0", "events Interrupted 0"} {
		assert.ErrorContains(t, s.expect(append([]string{"50ms"}, strings.Fields(words)...)), "no message of the program holds", words)
	}
	for words, holds := range map[string]bool{"2 Scaled": true, "1 Scaled": false, "3 Scaled": false, "0 Scaled": false} {
		err := s.logged(strings.Fields(words))
		assert.Truef(t, (err == nil) == holds, "logged %s: error %v, want it to hold: %t", words, err, holds)
	}
}

// stockStatus is the status that a stock autoscaler wrote.
const stockStatus = `autoscalerStatus: Running
clusterWide:
  health:
    lastProbeTime: "2026-11-21T16:19:53Z"
    nodeCounts:
      longUnregistered: 0
      registered: {notStarted: 0, ready: 1, suspended: 0, total: 1, unready: {resourceUnready: 0, total: 0}}
      unregistered: 0
    status: Healthy
nodeGroups:
- health: {cloudProviderTarget: 3, maxSize: 6, minSize: 1, nodeCounts: {longUnregistered: 0, registered: {ready: 1, total: 1}, unregistered: 2}, status: Healthy}
  name: g
  scaleUp: {status: InProgress}
time: 2026-11-21 16:19:53.5 +0000 UTC
`

func TestStatusInAnotherFormFails(t *testing.T) {
	if text, err := statusLines(stockStatus); err != nil || !strings.Contains(text, "g: Healthy, 1 to 6, target 3, 1 of 1 ready, 2 unregistered, scale-up InProgress\n") {
		t.Errorf("%v in:\n%s", err, text)
	}
	_, err := statusLines(stockStatus + "mood: good\n")
	assert.ErrorContains(t, err, "mood", "a field that the core lacks: error, want one that names it")
}

func TestForbiddenRequestsAndCallsAboveLimitFail(t *testing.T) {
	s := groupScript(t, 0)
	require.NoError(t, s.AWS.SetDesired("g", 2))
	call(t, s.AWS.URL(), "DescribeAutoScalingGroups", nil)
	call(t, s.AWS.URL(), "DescribeAutoScalingGroups", nil)
	for words, want := range map[string]string{
		"calls DescribeAutoScalingGroups above 2": "",
		"calls DescribeAutoScalingGroups above 1": "2 calls of DescribeAutoScalingGroups were made",
		"desired g above 2":                       "",
		"desired g above 1":                       "raised to 2",
	} {
		err := s.never(strings.Fields(words))
		assert.Truef(t, (want != "" || err == nil) && (want == "" || err != nil && strings.Contains(err.Error(), want)),
			"never %s: error %v, want %q", words, err, want)
	}
	assert.ErrorContains(t, refusals([]string{"GET pods"}), "GET pods", "error, want the refused request")
	assert.NoError(t, refusals(nil))
}

func TestEventually(t *testing.T) {
	for _, tt := range []struct {
		name    string
		holdsAt int // the look at which it holds, 0 for never
		takes   time.Duration
		err     error
		want    string // in the error, empty for success
	}{
		{name: "holds at once", holdsAt: 1},
		{name: "holds later", holdsAt: 20},
		{name: "holds at once, and is slow to look at", holdsAt: 1, takes: 8 * time.Second},
		{name: "slow to look at", takes: 8 * time.Second, want: "waited 5s for the thing; saw less last"},
		{name: "never answers", takes: time.Hour, want: "context deadline exceeded"},
		{name: "never holds", want: "waited 5s for the thing; saw less last"},
		{name: "cannot look", err: errors.New("no server"), want: "no server"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				looks := 0
				err := eventually(t.Context(), 5*time.Second, "the thing", func(ctx context.Context) (bool, string, error) {
					looks++
					select {
					case <-ctx.Done():
						return false, "", ctx.Err()
					case <-time.After(tt.takes):
					}
					return looks == tt.holdsAt, "less", tt.err
				})
				assert.Truef(t, (tt.want != "" || err == nil) && (tt.want == "" || err != nil && strings.Contains(err.Error(), tt.want)),
					"eventually = %v, want %q", err, tt.want)
			})
		})
	}
}

func TestScriptLimitNamesTheStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, errors.New("the script has taken its limit"))
		defer cancel()
		err := eventually(ctx, time.Minute, "desired web 9", func(context.Context) (bool, string, error) { return false, "8", nil })
		assert.Truef(t, err != nil && err.Error() == "stopped waiting for desired web 9: the script has taken its limit; saw 8 last",
			"error %v, want one that names the step and the limit", err)
	})
}
