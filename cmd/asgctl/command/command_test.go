package command

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/loopback"
)

// pflag shows the first text in back-quotes as the name of the flag's value.
func TestHelpNamesEachValueByOneWord(t *testing.T) {
	seen := 0
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		for _, flags := range []*pflag.FlagSet{cmd.Flags(), cmd.PersistentFlags()} {
			flags.VisitAll(func(f *pflag.Flag) {
				seen++
				name, _ := pflag.UnquoteUsage(f)
				assert.NotContainsf(t, name, " ", "%s: the value of --%s is called %q", cmd.CommandPath(), f.Name, name)
			})
		}
		for _, below := range cmd.Commands() {
			look(below)
		}
	}
	look((&cli{stdout: io.Discard, stderr: io.Discard, program: asgctl}).root())
	assert.Truef(t, seen >= 50, "%d flags seen", seen)
}

func TestCommandsEndWhenTheAutoscalerHangs(t *testing.T) {
	url := loopback.Silent(t)
	for _, args := range [][]string{{"top"}, {"shadow"}, {"moves"}, {"plan"}, {"moves", "resume", "web"}, {"explain", "pods"}} {
		var stdout, stderr strings.Builder
		if code := Run(t.Context(), "asgctl", append(args, "--timeout=50ms", "--url", url), &stdout, &stderr, ""); code != ExitCannotRun || !strings.Contains(stderr.String(), "context deadline exceeded") {
			t.Errorf("%q exits with %d: %s", args, code, &stderr)
		}
	}
}

// An answer of our own would only wait for the time limit with them.
func TestWrongCredentialsAreNamedAtOnce(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusUnauthorized) }))
	defer server.Close()
	var stdout, stderr strings.Builder
	args := []string{"explain", "pods", "--timeout=5s", "--kubeconfig", loopback.Kubeconfig(t, server.URL), "--", "--nodes=0:3:web"}
	assert.Equal(t, ExitCannotRun, Run(t.Context(), "asgctl", args, &stdout, &stderr, ""))
	assert.Regexp(t, "^asgctl: find the autoscaler's Deployment: .*provide credentials.*\n$", stderr.String())
}

// Whether a pod that the report lacks exists, the API server says, and within the time limit.
func TestTroubleIsNoMissingPod(t *testing.T) {
	report, err := json.Marshal(decision.Report{Version: decision.Version, Process: decision.Process{Leader: true}, Loop: decision.Loop{Number: 1}})
	require.NoError(t, err)
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		exit   int
	}{
		"no such pod": {http.NotFound, ExitFindings},
		"forbidden":   {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusForbidden) }, ExitCannotRun},
		"silent":      {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, ExitCannotRun},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch w.Header().Set("Content-Type", "application/json"); r.URL.Path {
				case "/api/v1/namespaces/kube-system/pods/a:8085/proxy/status.json":
					_, _ = w.Write(report)
				case "/api/v1/namespaces/kube-system/pods":
					_, _ = w.Write([]byte(`{"kind": "PodList", "apiVersion": "v1", "items": [{"metadata": {"namespace": "kube-system", "name": "a"}, "status": {"phase": "Running"}}]}`))
				case "/api/v1/namespaces/shop/pods/web":
					tt.answer(w, r)
				default:
					http.NotFound(w, r)
				}
			}))
			defer server.Close()
			var stdout, stderr strings.Builder
			args := []string{"explain", "pod", "web", "-n", "shop", "--timeout=2s", "--kubeconfig", loopback.Kubeconfig(t, server.URL)}
			assert.Equalf(t, tt.exit, Run(t.Context(), "asgctl", args, &stdout, &stderr, ""), "says %s", &stderr)
			assert.Contains(t, stderr.String(), "asgctl: the autoscaler counts no pod shop/web among those that wait for a node: ")
		})
	}
}

// The autoscaler lists the pods alone for which a scheduler has found no node.
func TestPodsThatTheAutoscalerDoesNotCountWait(t *testing.T) {
	began := time.Now().Add(-time.Minute)
	report := decision.Report{Version: decision.Version, Process: decision.Process{Leader: true}, Loop: decision.Loop{Number: 1, Started: began},
		Pods: []decision.Pod{{Namespace: "shop", Name: "listed", UID: "listed", Owner: "Job/listed", State: decision.PodLaunching, Search: -1, Cause: decision.Reason{Message: "a node was asked for"}}}}
	var pods corev1.PodList
	add := func(name string, age time.Duration, status corev1.PodStatus) *corev1.Pod {
		pods.Items = append(pods.Items, corev1.Pod{Status: status, ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name),
			CreationTimestamp: metav1.NewTime(began.Add(-age)), OwnerReferences: []metav1.OwnerReference{{Kind: "Job", Name: name, Controller: ptr.To(true)}}}})
		return &pods.Items[len(pods.Items)-1]
	}
	refused := func(reason, message string) corev1.PodStatus {
		return corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: reason, Message: message}}}
	}
	add("unseen", time.Hour, corev1.PodStatus{})
	add("failed", time.Hour, refused(corev1.PodReasonSchedulerError, "binding volumes: context deadline exceeded"))
	add("listed", time.Hour, refused(corev1.PodReasonUnschedulable, ""))
	add("young", -time.Second, corev1.PodStatus{})
	add("gated", time.Hour, refused(corev1.PodReasonSchedulingGated, "")).Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "quota"}}
	add("leaves", time.Hour, corev1.PodStatus{}).DeletionTimestamp = ptr.To(metav1.Now())
	cluster := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/api/v1/namespaces/kube-system/pods/a:8085/proxy/status.json":
			_ = json.NewEncoder(w).Encode(report)
		case "/api/v1/namespaces/kube-system/pods":
			_, _ = w.Write([]byte(`{"kind": "PodList", "apiVersion": "v1", "items": [{"metadata": {"namespace": "kube-system", "name": "a"}, "status": {"phase": "Running"}}]}`))
		case "/api/v1/pods", "/api/v1/namespaces/shop/pods":
			assert.Equal(t, "spec.nodeName=", r.URL.Query().Get("fieldSelector"))
			_ = json.NewEncoder(w).Encode(pods)
		default:
			_, _ = w.Write([]byte("{}"))
		}
	}))
	defer cluster.Close()
	explain := func(exit int, args ...string) string {
		var stdout, stderr strings.Builder
		args = append([]string{"explain", "--timeout=2s", "--kubeconfig", loopback.Kubeconfig(t, cluster.URL)}, args...)
		assert.Equalf(t, exit, Run(t.Context(), "asgctl", args, &stdout, &stderr, ""), "%v says %s", args, &stderr)
		return stdout.String()
	}
	for name, want := range map[string]string{
		"unseen": `its scheduler "default-scheduler" has not looked at it yet`,
		"failed": `its scheduler "default-scheduler" has not placed it (SchedulerError): binding volumes: context deadline exceeded`,
		"young":  "it is newer than the last loop, which began at ",
		"gated":  "scheduling gate quota holds it back, the scheduler does not look for a node yet",
	} {
		got := explain(ExitFindings, "job/"+name, "-n", "shop")
		assert.Truef(t, strings.HasPrefix(got, want) && strings.Contains(got, "\nWaiting pods of Job/"+name+" in namespace shop: 1. Without a node: 1.\n"), "of %s: %s", name, got)
	}
	assert.Contains(t, explain(ExitFine, "job/listed", "-n", "shop"), "in namespace shop: 1. Without a node: 0.\n")
	assert.Contains(t, explain(ExitFine, "job/leaves", "-n", "shop"), "the autoscaler counts no pod of Job/leaves in namespace shop among those that wait for a node")
	all := explain(ExitFindings, "pods")
	assert.Contains(t, all, "\nWaiting pods of the cluster: 3. Without a node: 2.\n")
	for _, want := range []string{"kubectl -n shop get events --field-selector reason=FailedScheduling\n", "kubectl -n kube-system get lease kube-scheduler -o yaml\n"} {
		assert.Contains(t, all, want)
	}
}

func TestErrorsMoveNoCursor(t *testing.T) {
	var stderr strings.Builder
	code := Run(t.Context(), "asgctl", []string{"replay", "loop\x1b[2J\u009b.zip"}, io.Discard, &stderr, "")
	assert.Equal(t, ExitCannotRun, code)
	assert.Contains(t, stderr.String(), "loop\ufffd[2J\ufffd.zip")
	assert.True(t, strings.HasSuffix(stderr.String(), "\n"))
}

// A report without decisions is no answer, and nothing is asked of who made it.
func TestReportWithoutDecisionsIsNoAnswer(t *testing.T) {
	for want, report := range map[string]decision.Report{
		"does not lead, and b does": {Process: decision.Process{Holder: "b"}},
		"has run no loop yet":       {Process: decision.Process{Leader: true}},
		"decides in its own process": {Process: decision.Process{Leader: true, Plugin: true}, Loop: decision.Loop{Number: 1},
			Nodes: []decision.Node{{Name: "n", Group: "web"}}},
	} {
		report.Version = decision.Version
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, http.MethodGet, r.Method)
			_ = json.NewEncoder(w).Encode(report)
		}))
		defer server.Close()
		for _, args := range [][]string{{"explain", "pods"}, {"explain", "node", "n"}, {"remove", "n", "--kubeconfig", loopback.Kubeconfig(t, server.URL)}} {
			var stdout, stderr strings.Builder
			assert.Equal(t, ExitCannotRun, Run(t.Context(), "asgctl", append(args, "--url", server.URL), &stdout, &stderr, ""))
			assert.Containsf(t, stderr.String(), want, "%v", args)
		}
	}
}

func TestNodeMayHaveHadNoRoomInTheReport(t *testing.T) {
	for nodes, want := range map[int]string{1: "a is no node or instance of a group of the autoscaler",
		decision.MaxNodes: "a is no node or instance of a group of the autoscaler, or one that had no room in its report"} {
		assert.Equal(t, finding{want}, unserved("a", &decision.Report{Nodes: make([]decision.Node, nodes)}))
	}
}

func TestNodeThatIsGoneHasItsLastDecision(t *testing.T) {
	at := time.Date(2026, 11, 1, 2, 14, 9, 0, time.UTC)
	r := &decision.Report{Timeline: []decision.Entry{{Kind: decision.Interrupted, Node: "b"},
		{Kind: decision.ScaleDown, At: at, Node: "a", Reason: decision.Reason{Message: "not needed for 10m"}},
		{Kind: decision.Problem, At: at.Add(-time.Hour), Node: "a", Reason: decision.Reason{Message: "its removal failed"}}}}
	want := "a is no node or instance of a group of the autoscaler; the last decision about it: scale-down at 2026-11-01 02:14:09 UTC: not needed for 10m"
	assert.Equal(t, finding{want}, unserved("a", r))
}

// The next question goes to the same autoscaler.
func TestNextQuestionHasTheGivenFlags(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(decision.Report{Version: decision.Version, Process: decision.Process{Leader: true}, Loop: decision.Loop{Number: 1},
			Pods: []decision.Pod{{Namespace: "default", Name: "web", State: decision.PodHelpless, Search: -1}}})
	}))
	defer server.Close()
	var stdout, stderr strings.Builder
	Run(t.Context(), "asgctl", []string{"explain", "pods", "--url", server.URL, "--timeout", "1m0s"}, &stdout, &stderr, "")
	want := " --timeout=1m0s --url=" + server.URL + "\n"
	assert.Truef(t, strings.HasSuffix(stdout.String(), want), "got %s\n%s\nwant it to end in %s", &stdout, &stderr, want)
}

// Nodes for the pods of a node that AWS takes are launched in no replay, and the pods are in no report.
func TestReplaySaysNothingAboutPodsThatDidNotWait(t *testing.T) {
	recorded := &decision.Report{Launches: []decision.Launch{{}}}
	assert.Equal(t, "the same about the pods that waited.", differences(recorded, &decision.Report{}))
}

func TestWhereAWSPublishesTheOfferOfARegion(t *testing.T) {
	const public, china = "https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/", "https://pricing.cn-north-1.amazonaws.com.cn/offers/v1.0/cn/"
	for region, want := range map[string]string{
		"us-east-1":      public + "AmazonEC2/current/us-east-1/index.json",
		"us-gov-west-1":  public + "AmazonEC2/current/us-gov-west-1/index.json",
		"cn-north-1":     china + "AmazonEC2/current/cn-north-1/index.json",
		"cn-northwest-1": china + "AmazonEC2/current/cn-northwest-1/index.json",
		"us-iso-east-1":  "", "eusc-de-east-1": "", "": "", "nowhere": "", "../x-y-z": "", "EU-WEST-1": "",
	} {
		got, err := offerURL(region)
		assert.Truef(t, got == want && (err == nil) == (want != ""), "offerURL(%q) = %q, %v, want %q", region, got, err, want)
	}
}

// The signal ends the prompt. A prompt that comes after it still waits for the operator.
func TestSignalEndsThePrompt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	assert.Equal(t, "web", answer(ctx, bufio.NewScanner(strings.NewReader(" web \n"))), "answer")
	silent, writer := io.Pipe()
	defer writer.Close()
	ended := make(chan string)
	go func() { ended <- answer(ctx, bufio.NewScanner(silent)) }()
	if _, err := writer.Write([]byte("we")); err != nil { // returns once the prompt reads
		t.Fatal(err)
	}
	cancel()
	assert.Equal(t, "", <-ended, "answer after the signal")
	assert.Equal(t, "i-1", answer(ctx, bufio.NewScanner(strings.NewReader("i-1\n"))), "later answer")
}
