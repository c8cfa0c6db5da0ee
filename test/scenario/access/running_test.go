package access

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/stretchr/testify/require"
)

// asking is the namespace of the autoscaler that is asked, and of the account of the user who asks.
const asking = "asking"

// Two replicas have the labels of the autoscaler. The leader's pod is a server of this test, and the one that stands by is the real
// program. The API server's proxy reaches them as it reaches any pod.
func asksRunningAutoscaler(t *testing.T, l *lab) {
	kubeconfig := l.grant(t, asking, grants{namespace: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "list"}},
		{APIGroups: []string{""}, Resources: []string{"pods/proxy"}, Verbs: []string{"get"}},
		{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"get"}},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"get"}},
	}})
	report := decision.Report{Version: decision.Version, At: time.Now(), Process: decision.Process{Leader: true, Cluster: "the leader's"}, Loop: decision.Loop{Number: 1},
		Pods: []decision.Pod{{Namespace: "shop", Name: "web-0", State: decision.PodHelpless, Search: 0,
			Cause: decision.Reason{Code: decision.CodeMaxSize, Message: "group web has its maximum of 3", Remedy: "aws autoscaling update-auto-scaling-group"}}},
		Searches: []decision.Search{{Answers: []decision.Answer{{Group: "web", Verdict: decision.Skipped,
			Reason: decision.Reason{Code: decision.CodeMaxSize, Message: "maximum reached"}}}}}}
	address := hostAddress(t)
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	require.NoError(t, err)
	server := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/status.json" {
			http.NotFound(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(report)
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	l.pod(t, "autoscaler", listener.Addr().String())
	now := metav1.NowMicro()
	_, err = l.client.CoordinationV1().Leases(asking).Create(t.Context(), &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "cluster-autoscaler"},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: ptr.To("autoscaler"), LeaseDurationSeconds: ptr.To[int32](3600), AcquireTime: &now, RenewTime: &now}}, metav1.CreateOptions{})
	require.NoError(t, err)
	l.standBy(t, address)

	ask := func(args ...string) (code int, stdout, stderr string) {
		var out, complaints strings.Builder
		cmd := exec.CommandContext(t.Context(), l.asgctl, append(args, "--autoscaler-namespace="+asking, "--kubeconfig="+kubeconfig)...)
		cmd.Stdout, cmd.Stderr = &out, &complaints
		_ = cmd.Run()
		return cmd.ProcessState.ExitCode(), out.String(), complaints.String()
	}
	code, stdout, stderr := ask("explain", "pod", "web-0", "--namespace=shop")
	assert.Truef(t, code == 3 && stderr == "asgctl: 1 of 1 pods get no node\n", "exit code %d, want 3, and on stderr %q", code, stderr)
	first, rest, _ := strings.Cut(stdout, "\n")
	assert.Truef(t, first == "group web has its maximum of 3" && strings.Contains(rest, "web     skipped   maximum reached") && strings.HasSuffix(rest, "Next:\n  aws autoscaling update-auto-scaling-group\n"),
		"the answer:\n%s", stdout)
	if code, stdout, stderr = ask("top", "--output=json"); code != 0 || !strings.Contains(stdout, `"cluster": "the leader's"`) {
		t.Errorf("asgctl top ends with %d and %q:\n%s", code, stderr, stdout)
	}
	const want = "asgctl: no pod of Deployment/none waits for a node: deployments.apps \"none\" not found\n"
	if code, _, stderr = ask("explain", "deployments/none", "--namespace="+asking); code != 3 || stderr != want {
		t.Errorf("exit code %d, want 3, and on stderr %q, want %q", code, stderr, want)
	}
}

// pod makes a running pod of an autoscaler that answers at the address.
func (l *lab) pod(t *testing.T, name, address string) {
	at := netip.MustParseAddrPort(address)
	pods := l.client.CoreV1().Pods(asking)
	pod, err := pods.Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "cluster-autoscaler"}},
		Spec: corev1.PodSpec{SchedulerName: "nobody", Containers: []corev1.Container{{Name: "main", Image: "registry.example.com/autoscaler:dev",
			Ports: []corev1.ContainerPort{{ContainerPort: int32(at.Port())}}}}}}, metav1.CreateOptions{})
	require.NoError(t, err)
	pod.Status.Phase, pod.Status.PodIP, pod.Status.PodIPs = corev1.PodRunning, at.Addr().String(), []corev1.PodIP{{IP: at.Addr().String()}}
	_, err = pods.UpdateStatus(t.Context(), pod, metav1.UpdateOptions{})
	require.NoError(t, err)
}

// standBy runs a replica while another one holds the lease. It waits until its page and its JSON name that one.
func (l *lab) standBy(t *testing.T, host string) {
	free, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	require.NoError(t, err)
	address := free.Addr().String()
	require.NoError(t, free.Close())
	process, err := l.env.StartReplica(t.Context(), "standby", filepath.Join(l.dir, "standby.log"), "s0-gpu-spot-china",
		"--kubeconfig="+l.env.Cluster.Kubeconfig(), "--namespace="+asking, "--address="+address)
	require.NoError(t, err)
	t.Cleanup(process.Kill)
	l.pod(t, "standby", address)
	_, port, _ := net.SplitHostPort(address)
	for path, want := range map[string]string{"status": "autoscaler holds the lease and autoscales", "status.json": `"leader":false,"holder":"autoscaler"`} {
		eventually(t, func(ctx context.Context) string {
			answer, err := l.client.CoreV1().RESTClient().Get().Namespace(asking).Resource("pods").Name("standby:" + port).SubResource("proxy").Suffix(path).DoRaw(ctx)
			if err != nil || !strings.Contains(string(answer), want) {
				return fmt.Sprintf("%s of the replica that stands by lacks %q: %v\n%s", path, want, err, answer)
			}
			return ""
		})
	}
}

// hostAddress is an address of this machine that the API server lets its proxy reach, so none of the loopback.
func hostAddress(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() && ip.IP.To4() != nil {
			return ip.IP.String()
		}
	}
	t.Fatal("this machine has no address but the loopback's, and the API server's proxy needs one")
	return ""
}
