package doctor

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/loopback"
)

// The path from the API server to the pod may be blocked. Only the status of all pods says that the autoscaler is dead.
func TestPodThatTheAPIServerDoesNotReach(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/namespaces/kube-system/pods/a:8085/proxy/status.json":
			<-r.Context().Done()
		case "/api/v1/namespaces/kube-system/pods":
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"kind": "PodList", "apiVersion": "v1", "items": [{"metadata": {"namespace": "kube-system", "name": "a"}, "status": {"phase": "Running"}}]}`))
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	for _, ready := range [][]corev1.ConditionStatus{{corev1.ConditionTrue}, {corev1.ConditionFalse}, {corev1.ConditionFalse, corev1.ConditionTrue}} {
		t.Run(fmt.Sprint("Ready ", ready), func(t *testing.T) {
			in, c := &installation{namespace: usualNamespace}, &Check{}
			for _, status := range ready {
				pod := ofAccount("a", corev1.Container{})
				pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status, Message: "it crashes"}}
				in.replicas = append(in.replicas, pod)
			}
			in.ours, in.Now = &in.replicas[0], time.Now
			in.Running.Kubeconfig, in.Timeout = loopback.Kubeconfig(t, server.URL), 4*time.Second
			dead := !slices.Contains(ready, corev1.ConditionTrue)
			assert.Equal(t, dead, checkRunning(t.Context(), in, c), "looked")
			if dead && assert.Len(t, c.Findings, 1) {
				assert.Empty(t, c.NotChecked)
				assert.Equal(t, "pod kube-system/a: no pod of the autoscaler is Ready: it crashes", c.Findings[0].Object+": "+c.Findings[0].Problem)
			}
			if !dead && assert.Len(t, c.NotChecked, 1) {
				assert.Empty(t, c.Findings)
				assert.Contains(t, c.NotChecked[0].Reason, "the API server does not reach port 8085 of pod kube-system/a: a security group")
			}
		})
	}
}

// The API server refuses the connection to a pod whose container is down, and asks none that was never up. The status of the pods says why.
func TestPodsThatNeverBecomeReady(t *testing.T) {
	const describe, logs = "kubectl --namespace kube-system describe pod a", "kubectl --namespace kube-system logs --previous a --container cluster-autoscaler"
	now := time.Now()
	aged := func(name string, age time.Duration, status corev1.PodStatus) corev1.Pod {
		pod := ofAccount(name, corev1.Container{})
		pod.CreationTimestamp, pod.Spec.ServiceAccountName, pod.Status = metav1.NewTime(now.Add(-age)), clusterAutoscaler, status
		return pod
	}
	is := func(condition corev1.PodConditionType, status corev1.ConditionStatus, message string) []corev1.PodCondition {
		return []corev1.PodCondition{{Type: condition, Status: status, Message: message}}
	}
	waits := func(reason, message string, restarts int32) []corev1.ContainerStatus {
		return []corev1.ContainerStatus{{Name: clusterAutoscaler, RestartCount: restarts,
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}}
	}
	unready := is(corev1.PodReady, corev1.ConditionFalse, "containers with unready status: [cluster-autoscaler]")
	crashes := corev1.PodStatus{Phase: corev1.PodRunning, Conditions: unready, ContainerStatuses: waits("CrashLoopBackOff", "back-off 5m0s", 3)}
	image := corev1.PodStatus{Phase: corev1.PodPending, Conditions: unready, ContainerStatuses: waits("ImagePullBackOff", "", 0)}
	setup := corev1.PodStatus{Phase: corev1.PodPending, InitContainerStatuses: waits("CrashLoopBackOff", "", 1), ContainerStatuses: waits("PodInitializing", "", 0)}
	runs := corev1.PodStatus{Phase: corev1.PodRunning, Conditions: unready, ContainerStatuses: []corev1.ContainerStatus{{Name: clusterAutoscaler,
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}}
	pending := corev1.PodStatus{Phase: corev1.PodPending, Conditions: is(corev1.PodScheduled, corev1.ConditionFalse, "0/3 nodes are available")}
	ready := corev1.PodStatus{Phase: corev1.PodRunning, Conditions: is(corev1.PodReady, corev1.ConditionTrue, "")}
	leaving := aged("a", time.Hour, crashes)
	leaving.DeletionTimestamp = new(metav1.NewTime(now))
	for _, tt := range []struct {
		name       string
		pods       []corev1.Pod
		unread     bool // some of the pods
		want, next string
	}{
		{name: "crash loop", pods: []corev1.Pod{aged("a", time.Hour, crashes), aged("b", time.Hour, image)}, want: "CrashLoopBackOff: back-off 5m0s", next: describe + "\n" + logs},
		{name: "crash loop of an init container", pods: []corev1.Pod{aged("a", time.Hour, setup)}, want: "CrashLoopBackOff", next: describe + "\n" + logs},
		{name: "image that cannot be pulled", pods: []corev1.Pod{aged("a", time.Hour, image)}, want: "ImagePullBackOff", next: describe},
		{name: "no node", pods: []corev1.Pod{aged("a", time.Hour, pending)}, want: "0/3 nodes are available", next: describe},
		{name: "no status", pods: []corev1.Pod{aged("a", time.Hour, corev1.PodStatus{})}, want: "its status says no reason", next: describe},
		{name: "runs and does not become Ready", pods: []corev1.Pod{aged("a", time.Hour, runs)}, want: unready[0].Message,
			next: describe + "\n" + strings.Replace(logs, "--previous ", "", 1)},
		{name: "not Ready", pods: []corev1.Pod{aged("a", time.Hour, corev1.PodStatus{Phase: corev1.PodRunning, Conditions: unready})}, want: unready[0].Message, next: describe},
		{name: "one that ended beside it", pods: []corev1.Pod{aged("0", time.Second, corev1.PodStatus{Phase: corev1.PodFailed}), aged("a", time.Hour, image)},
			want: "ImagePullBackOff", next: describe},
		{name: "another replica is Ready", pods: []corev1.Pod{aged("a", time.Hour, crashes), aged("b", time.Hour, ready)}},
		{name: "rollout", pods: []corev1.Pod{aged("a", time.Hour, crashes), aged("b", 50*time.Second, pending)}},
		{name: "the old pod leaves", pods: []corev1.Pod{leaving}},
		{name: "another pod may be Ready", pods: []corev1.Pod{aged("a", time.Hour, crashes)}, unread: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if strings.HasSuffix(r.URL.Path, "/proxy/status.json") {
					w.WriteHeader(http.StatusServiceUnavailable)
					_, _ = w.Write([]byte(`{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "ServiceUnavailable", "code": 503, "message": "connection refused"}`))
					return
				}
				list := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, Items: tt.pods}
				if r.URL.Path != "/api/v1/namespaces/kube-system/pods" {
					w.WriteHeader(http.StatusNotFound)
				}
				assert.NoError(t, json.NewEncoder(w).Encode(list))
			}))
			defer server.Close()
			in, c := asks(tt.pods...), &Check{}
			if tt.unread {
				in.pods.err = errors.New("a page is missing")
			}
			in.takeFlags()
			in.Running.Kubeconfig, in.Timeout, in.Now = loopback.Kubeconfig(t, server.URL), time.Minute, func() time.Time { return now }
			assert.Equal(t, tt.want != "", checkRunning(t.Context(), in, c), "looked")
			if tt.want == "" {
				assert.Empty(t, c.Findings)
				assert.Len(t, c.NotChecked, 1)
				return
			}
			assert.Empty(t, c.NotChecked)
			assert.Equal(t, []Finding{{Object: "pod kube-system/a", Problem: "no pod of the autoscaler is Ready: " + tt.want, Evidence: "the status of the pod", Next: tt.next}}, c.Findings)
		})
	}
}

// A remedy may have several steps, each with a command to paste.
func TestStepsStayLines(t *testing.T) {
	c := Check{Name: "running"}
	c.find("node group web", "its instances do not join", "its /status.json", "see: aws eks a\nor\x1b: kubectl b")
	assert.Equal(t, "see: aws eks a\nor\ufffd: kubectl b", c.Findings[0].Next)
	assert.Contains(t, (&Report{Checks: []Check{c}}).Table(), "\n   next: see: aws eks a\n   or\ufffd: kubectl b\n")
}

func TestReportWithoutDecisionsIsOfNoSoundAutoscaler(t *testing.T) {
	for report, want := range map[string]string{
		`"process": {"holder": "b"}`:  "the autoscaler that answers does not lead, and b does",
		`"process": {"leader": true}`: "the autoscaler that leads has run no loop yet, and its log and /readyz say what it waits for",
		`"process": {"leader": true}, "loop": {"number": 1, "result": {"code": "no-groups", "message": "none"}}`: "none",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"version": "v1", ` + report + `}`))
		}))
		defer server.Close()
		in, c := &installation{}, &Check{}
		in.Running.URL, in.Timeout, in.Now = server.URL, time.Minute, time.Now
		looked := checkRunning(t.Context(), in, c)
		assert.Equalf(t, want == "none", looked, "%s: looked", report)
		said := slices.ContainsFunc(c.Findings, func(f Finding) bool { return f.Problem == want })
		assert.Truef(t, said == looked && (looked || len(c.NotChecked) == 1 && c.NotChecked[0].Reason == want), "%s: %+v", report, c)
	}
}

func TestWordsAmongTheFlagsAreFound(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"version": "v1", "process": {"leader": true}, "loop": {"number": 1}}`))
	}))
	defer server.Close()
	in, c := asks(ofAccount("a", corev1.Container{Args: []string{"--scale-down-enabled", "false", "--v", "4"}})), &Check{}
	in.takeFlags()
	in.Running.URL, in.Timeout, in.Now = server.URL, time.Minute, time.Now
	assert.True(t, checkRunning(t.Context(), in, c), "looked")
	assert.Equal(t, []Finding{{Object: "the autoscaler's flags", Problem: `the word "false" counts for nothing`, Evidence: "its pod",
		Next: "write --flag=value in deployment/cluster-autoscaler"}}, c.Findings)
}

// The lease of a pod without --namespace is in kube-system, wherever the pod is.
func TestLeaderIsFoundByALeaseOfAnotherNamespace(t *testing.T) {
	const pod = `{"kind": "Pod", "apiVersion": "v1", "metadata": {"namespace": "autoscaling", "name": "a"}, "status": {"phase": "Running"}}`
	answers := map[string]string{
		"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/cluster-autoscaler": `{"kind": "Lease", "apiVersion": "coordination.k8s.io/v1", "spec": {"holderIdentity": "a"}}`,
		"/api/v1/namespaces/autoscaling/pods/a":                                         pod,
		"/api/v1/namespaces/autoscaling/pods/a:8085/proxy/status.json":                  `{"version": "v1", "process": {"leader": true}, "loop": {"number": 1}}`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answers[r.URL.Path] == "" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(answers[r.URL.Path]))
	}))
	defer server.Close()
	in, c := &installation{namespace: "autoscaling", ours: &corev1.Pod{}}, &Check{}
	in.Running.Kubeconfig, in.Timeout, in.Now = loopback.Kubeconfig(t, server.URL), time.Minute, time.Now
	assert.Truef(t, checkRunning(t.Context(), in, c), "looked: %+v", c)
}
