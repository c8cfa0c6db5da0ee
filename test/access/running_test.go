package access

import (
	"encoding/json"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// asking is the namespace of the autoscaler that is asked, and of the account of the user who asks.
const asking = "asking"

// The autoscaler's pod is a server of this test. The API server's proxy reaches it as it reaches any pod.
func asksRunningAutoscaler(t *testing.T, l *lab) {
	kubeconfig := l.grant(t, asking, grants{namespace: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "list"}},
		{APIGroups: []string{""}, Resources: []string{"pods/proxy"}, Verbs: []string{"get"}},
		{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"get"}},
	}})
	report := decision.Report{Version: decision.Version, At: time.Now(), Process: decision.Process{Leader: true},
		Pods: []decision.Pod{{Namespace: "shop", Name: "web-0", State: decision.PodHelpless, Search: 0,
			Cause: decision.Reason{Code: decision.CodeMaxSize, Message: "group web has its maximum of 3", Remedy: "aws autoscaling update-auto-scaling-group"}}},
		Searches: []decision.Search{{Answers: []decision.Answer{{Group: "web", Verdict: decision.Skipped,
			Reason: decision.Reason{Code: decision.CodeMaxSize, Message: "maximum reached"}}}}}}
	address := hostAddress(t)
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	must(t, err)
	server := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/status.json" {
			http.NotFound(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(report)
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })

	pods := l.client.CoreV1().Pods(asking)
	pod, err := pods.Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "autoscaler", Labels: map[string]string{"app": "cluster-autoscaler"}},
		Spec: corev1.PodSpec{SchedulerName: "nobody", Containers: []corev1.Container{{Name: "main", Image: "registry.example.com/autoscaler:dev",
			Ports: []corev1.ContainerPort{{ContainerPort: int32(listener.Addr().(*net.TCPAddr).Port)}}}}}}, metav1.CreateOptions{})
	must(t, err)
	pod.Status.Phase, pod.Status.PodIP, pod.Status.PodIPs = corev1.PodRunning, address, []corev1.PodIP{{IP: address}}
	_, err = pods.UpdateStatus(t.Context(), pod, metav1.UpdateOptions{})
	must(t, err)

	var stdout, stderr strings.Builder
	cmd := exec.CommandContext(t.Context(), l.asgctl, "explain", "pod", "web-0", "--namespace=shop", "--autoscaler-namespace="+asking, "--kubeconfig="+kubeconfig)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != 3 || stderr.String() != "asgctl: 1 of 1 pods get no node\n" {
		t.Errorf("exit code %d, want 3, and on stderr %q", code, stderr.String())
	}
	first, rest, _ := strings.Cut(stdout.String(), "\n")
	if first != "group web has its maximum of 3" || !strings.Contains(rest, "web     skipped   maximum reached") || !strings.HasSuffix(rest, "Next:\n  aws autoscaling update-auto-scaling-group\n") {
		t.Errorf("the answer:\n%s", stdout.String())
	}
}

// hostAddress is an address of this machine that the API server lets its proxy reach, so none of the loopback.
func hostAddress(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	must(t, err)
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() && ip.IP.To4() != nil {
			return ip.IP.String()
		}
	}
	t.Fatal("this machine has no address but the loopback's, and the API server's proxy needs one")
	return ""
}
