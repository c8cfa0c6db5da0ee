package doctor

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/loopback"
)

// The path from the API server to the pod may be blocked. Only a pod that is not Ready says that the autoscaler is dead.
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
	for ready, findings := range map[corev1.ConditionStatus]int{corev1.ConditionTrue: 0, corev1.ConditionFalse: 1} {
		t.Run("Ready "+string(ready), func(t *testing.T) {
			in := &installation{namespace: usualNamespace, ours: &corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}}}}
			in.Running.Kubeconfig, in.Timeout = loopback.Kubeconfig(t, server.URL), 4*time.Second
			c := &Check{}
			assert.Equal(t, findings == 1, checkRunning(t.Context(), in, c), "looked")
			assert.Len(t, c.Findings, findings)
			if findings == 0 && assert.Len(t, c.NotChecked, 1) {
				assert.Contains(t, c.NotChecked[0].Reason, "the API server does not reach port 8085 of pod kube-system/a: a security group")
			}
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
