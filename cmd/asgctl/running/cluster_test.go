package running

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	manifestLabels = map[string]string{"app": "cluster-autoscaler"}
	chartLabels    = map[string]string{"app.kubernetes.io/name": "aws-cluster-autoscaler"}
)

// A lab is a cluster with a namespace for each test. No kubelet runs its pods: servers of this process answer for them.
type lab struct {
	*controlplane.Cluster
	address string // of this machine. The API server opens no connection to a loopback address for a user.
}

func startLab(t *testing.T) lab {
	t.Helper()
	cluster := controlplane.StartFor(t, controlplane.Options{WithoutKWOK: true})
	addresses, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range addresses {
		if ip, _, err := net.ParseCIDR(a.String()); err == nil && ip.To4() != nil && ip.IsGlobalUnicast() {
			return lab{cluster, ip.String()}
		}
	}
	t.Fatalf("this machine has no IPv4 address but loopback (%v): the API server can reach no pod here", addresses)
	return lab{}
}

func (l lab) namespace(t *testing.T, name string) {
	t.Helper()
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	_, err := l.Client().CoreV1().Namespaces().Create(t.Context(), object, metav1.CreateOptions{})
	require.NoError(t, err)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "autoscaler"}}
	_, err = l.Client().CoreV1().ServiceAccounts(name).Create(t.Context(), account, metav1.CreateOptions{})
	require.NoError(t, err)
}

// pod creates a running pod whose report names the pod as its cluster.
func (l lab) pod(t *testing.T, namespace, name string, labels map[string]string, edit func(*corev1.Pod)) {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(l.address, "0"))
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path || name == "stock" {
			http.NotFound(w, r)
			return
		}
		report := decision.Report{Version: decision.Version, Process: decision.Process{Cluster: name}}
		_ = json.NewEncoder(w).Encode(report)
	})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-ended
	})
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec: corev1.PodSpec{SchedulerName: "none", ServiceAccountName: "autoscaler", Containers: []corev1.Container{{Name: "autoscaler", Image: "none",
			Ports: []corev1.ContainerPort{{ContainerPort: int32(listener.Addr().(*net.TCPAddr).Port)}}}}},
	}
	if edit != nil {
		edit(pod)
	}
	pods := l.Client().CoreV1().Pods(namespace)
	pod, err = pods.Create(t.Context(), pod, metav1.CreateOptions{})
	require.NoError(t, err)
	pod.Status.Phase, pod.Status.PodIP, pod.Status.PodIPs = corev1.PodRunning, l.address, []corev1.PodIP{{IP: l.address}}
	_, err = pods.UpdateStatus(t.Context(), pod, metav1.UpdateOptions{})
	require.NoError(t, err)
}

func (l lab) leads(t *testing.T, namespace, lease, holder string) {
	t.Helper()
	leases := l.Client().CoordinationV1().Leases(namespace)
	object := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: lease}, Spec: coordinationv1.LeaseSpec{HolderIdentity: ptr.To(holder)}}
	_ = leases.Delete(t.Context(), lease, metav1.DeleteOptions{})
	_, err := leases.Create(t.Context(), object, metav1.CreateOptions{})
	require.NoError(t, err)
}

func TestAutoscalerIsFound(t *testing.T) {
	l := startLab(t)
	for _, tt := range []struct {
		name, selector, lease string
		prepare               func(t *testing.T, namespace string)
		want                  string // the pod, or the beginning of the error
	}{
		{name: "none", want: "no running autoscaler in namespace none: see --autoscaler-namespace and --autoscaler-selector"},
		{name: "holder-of-the-lease", want: "any", prepare: func(t *testing.T, ns string) {
			l.pod(t, ns, "any", nil, nil)
			l.pod(t, ns, "other", manifestLabels, nil)
			l.leads(t, ns, leaseName, "any")
		}},
		{name: "manifests", want: "one", prepare: func(t *testing.T, ns string) { l.pod(t, ns, "one", manifestLabels, nil) }},
		{name: "chart", want: "one", prepare: func(t *testing.T, ns string) { l.pod(t, ns, "one", chartLabels, nil) }},
		{name: "chart-of-the-core", want: "one", prepare: func(t *testing.T, ns string) {
			l.pod(t, ns, "one", map[string]string{"app.kubernetes.io/name": "externalgrpc-cluster-autoscaler"}, nil)
		}},
		{name: "core-and-plugin", want: "ours", prepare: func(t *testing.T, ns string) {
			l.pod(t, ns, "stock", manifestLabels, func(p *corev1.Pod) {
				p.Spec.Containers[0].Name, p.Spec.Containers[0].Args = "cluster-autoscaler", []string{"--cloud-provider=externalgrpc"}
			})
			l.pod(t, ns, "ours", chartLabels, func(p *corev1.Pod) { p.Spec.Containers[0].Args = []string{"--asg-plugin-address=:8087"} })
			l.leads(t, ns, leaseName, "stock")
			l.leads(t, ns, leaseName+"-plugin", "ours")
		}},
		{name: "stale-lease", want: "one", prepare: func(t *testing.T, ns string) {
			l.pod(t, ns, "one", chartLabels, nil)
			l.leads(t, ns, leaseName, "gone")
		}},
		{name: "name-of-the-host", want: "second", prepare: func(t *testing.T, ns string) {
			l.pod(t, ns, "first", manifestLabels, nil)
			l.pod(t, ns, "second", manifestLabels, func(p *corev1.Pod) { p.Spec.HostNetwork, p.Spec.NodeName = true, "host-2" })
			l.leads(t, ns, leaseName, "host-2")
		}},
		{name: "two-without-a-lease", want: "pods one, two run in namespace two-without-a-lease, and lease cluster-autoscaler names none of them as the leader",
			prepare: func(t *testing.T, ns string) {
				l.pod(t, ns, "one", manifestLabels, nil)
				l.pod(t, ns, "two", manifestLabels, nil)
			}},
		{name: "renamed-lease", lease: "part-a", want: "one", prepare: func(t *testing.T, ns string) {
			l.pod(t, ns, "one", manifestLabels, nil)
			l.pod(t, ns, "two", manifestLabels, nil)
			l.leads(t, ns, "part-a", "one")
			l.leads(t, ns, leaseName, "two") // of another part
		}},
		{name: "selector", selector: "team=ours", want: "ours", prepare: func(t *testing.T, ns string) {
			l.pod(t, ns, "theirs", manifestLabels, nil)
			l.pod(t, ns, "ours", map[string]string{"team": "ours"}, nil)
			l.leads(t, ns, leaseName, "theirs")
		}},
		{name: "another-autoscaler", want: "pod another-autoscaler/stock answers no /status.json", prepare: func(t *testing.T, ns string) { l.pod(t, ns, "stock", manifestLabels, nil) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l.namespace(t, tt.name)
			if tt.prepare != nil {
				tt.prepare(t, tt.name)
			}
			a, err := Open(Options{Kubeconfig: l.Kubeconfig(), Namespace: tt.name, Selector: tt.selector, Lease: tt.lease})
			require.NoError(t, err)
			report, err := a.Report(t.Context())
			got := ""
			if err != nil {
				got = err.Error()
			} else {
				got = report.Process.Cluster
			}
			assert.Truef(t, strings.HasPrefix(got, tt.want), "got %q, want %q", got, tt.want)
			assert.Truef(t, errors.Is(err, ErrNone) == (tt.name == "none"), "the error is ErrNone: %v", errors.Is(err, ErrNone))
		})
	}
	t.Run("next-leader", func(t *testing.T) {
		l.namespace(t, "next-leader")
		l.pod(t, "next-leader", "first", manifestLabels, nil)
		l.pod(t, "next-leader", "second", manifestLabels, nil)
		a, err := Open(Options{Kubeconfig: l.Kubeconfig(), Namespace: "next-leader"})
		require.NoError(t, err)
		for _, leader := range []string{"first", "second"} {
			l.leads(t, "next-leader", leaseName, leader)
			report, err := a.Report(t.Context())
			assert.Truef(t, err == nil && report.Process.Cluster == leader, "%s leads: report %+v, error %v", leader, report, err)
		}
	})
	t.Run("permissions", func(t *testing.T) {
		const ns = "permissions"
		l.namespace(t, ns)
		l.pod(t, ns, "one", manifestLabels, nil)
		l.leads(t, ns, leaseName, "one")
		kubeconfig, err := l.ServiceAccountKubeconfig(t.Context(), ns, "autoscaler")
		require.NoError(t, err)
		a, err := Open(Options{Kubeconfig: kubeconfig, Namespace: ns})
		require.NoError(t, err)
		role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "reader"}}
		role, err = l.Client().RbacV1().Roles(ns).Create(t.Context(), role, metav1.CreateOptions{})
		require.NoError(t, err)
		binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "reader"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: ns, Name: "autoscaler"}}}
		_, err = l.Client().RbacV1().RoleBindings(ns).Create(t.Context(), binding, metav1.CreateOptions{})
		require.NoError(t, err)
		for _, step := range []struct {
			grant rbacv1.PolicyRule // on top of the ones before
			want  string            // of the error, "" for a report
		}{
			{rbacv1.PolicyRule{}, `cannot list resource "pods"`},
			{rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "list"}}, `cannot get resource "pods/proxy"`},
			{rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/proxy"}, Verbs: []string{"get"}}, ""},
			{rbacv1.PolicyRule{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"get"}}, ""},
		} {
			if step.grant.Verbs != nil {
				role.Rules = append(role.Rules, step.grant)
				role, err = l.Client().RbacV1().Roles(ns).Update(t.Context(), role, metav1.UpdateOptions{})
				require.NoError(t, err)
			}
			// The API server learns of a role a moment after it is written.
			err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
				_, err = a.Report(ctx)
				return step.want == "" && err == nil || step.want != "" && err != nil && strings.Contains(err.Error(), step.want), nil
			})
			require.NoErrorf(t, err, "with %v the answer is never %q", role.Rules, step.want)
		}
	})
}
