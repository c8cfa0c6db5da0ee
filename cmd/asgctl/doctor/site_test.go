package doctor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/command"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/doctor"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsclients"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	zoneA     = "us-west-2a"
	zoneB     = "us-west-2b"
	enabled   = "k8s.io/cluster-autoscaler/enabled"
	owned     = "k8s.io/cluster-autoscaler/prod"
	namespace = "kube-system"
	account   = "cluster-autoscaler"
	patience  = time.Minute
)

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if shared.cluster != nil {
		if err := shared.cluster.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop shared cluster:", err)
			code = 1
		}
	}
	os.Exit(code)
}

var shared struct {
	once    sync.Once
	cluster *controlplane.Cluster
	err     error
}

// A site is an installation. As it starts, it has no fault: the shipped roles, two replicas of the autoscaler, a device plugin, a queue, and the
// groups web, of two nodes in two zones, and gpu, of one node.
type site struct {
	cluster *controlplane.Cluster
	client  kubernetes.Interface
	aws     *fakeaws.Server
}

func sharedCluster(t *testing.T) *controlplane.Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a control plane")
	}
	shared.once.Do(func() {
		if shared.cluster, shared.err = controlplane.Start(context.Background(), controlplane.Options{Progress: os.Stderr}); shared.err == nil {
			shared.err = install(shared.cluster)
		}
	})
	require.NoError(t, shared.err)
	return shared.cluster
}

// install applies the shipped roles, and makes what does not depend on AWS.
func install(c *controlplane.Cluster) error {
	ctx, client := context.Background(), c.Client()
	for _, path := range []string{"deploy/rbac.yaml", "deploy/rbac-interruption.yaml"} {
		apply := exec.Command(c.Kubectl(), "--kubeconfig", c.Kubeconfig(), "apply", "-f", filepath.Join("../../../manifests", path))
		if out, err := apply.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	if _, err := client.CoreV1().ServiceAccounts(namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}, metav1.CreateOptions{}); err != nil {
		return err
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "control", Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"}}}
	if _, err := client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
		return err
	}
	for _, name := range []string{"cluster-autoscaler-0", "cluster-autoscaler-1"} {
		if _, err := client.CoreV1().Pods(namespace).Create(ctx, autoscalerPod(name), metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	plugin := daemonSet("nvidia-device-plugin", corev1.Container{Name: "plugin", Image: "k8s-device-plugin"})
	_, err := client.AppsV1().DaemonSets(namespace).Create(ctx, plugin, metav1.CreateOptions{})
	return err
}

// daemonSet has a pod on no node.
func daemonSet(name string, c corev1.Container) *appsv1.DaemonSet {
	labels := map[string]string{"app": name}
	return &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: appsv1.DaemonSetSpec{
		Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec: corev1.PodSpec{NodeSelector: map[string]string{"no": "node"}, Containers: []corev1.Container{c}}}}}
}

// autoscalerPod runs on a node that belongs to no group.
func autoscalerPod(name string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}, Spec: corev1.PodSpec{
		NodeName: "control", ServiceAccountName: account, Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
		Containers: []corev1.Container{{Name: "cluster-autoscaler", Image: "asg-autoscaler/cluster-autoscaler:v1",
			Command: []string{"./cluster-autoscaler", "--cloud-provider=aws", "--node-group-auto-discovery=asg:tag=" + enabled},
			Args:    []string{"--asg-cluster-name", "prod", "--asg-interruption-queue=$(QUEUE)"},
			Env:     []corev1.EnvVar{{Name: "QUEUE", Value: "interruptions"}}}}}}
}

func sound() fakeaws.Config {
	tags := func() map[string]string {
		return map[string]string{enabled: "true", owned: "owned", "kubernetes.io/cluster/prod": "owned"}
	}
	return fakeaws.Config{
		Delays: fakeaws.Delays{Register: fakeaws.Duration(time.Millisecond), GPU: fakeaws.Duration(time.Millisecond)},
		Images: []fakeaws.Image{{ID: "ami-0a"}},
		Queues: []fakeaws.Queue{{Name: "interruptions", Events: []string{"*"}}},
		LaunchTemplates: []fakeaws.LaunchTemplate{
			{Name: "web", Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-0a", InstanceType: "m5.large"}}},
			{Name: "gpu", Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-0a", InstanceType: "g4dn.xlarge"}}},
		},
		AutoScalingGroups: []fakeaws.AutoScalingGroup{
			{Name: "web", Max: 5, Desired: 2, Zones: []string{zoneA, zoneB}, Tags: tags(), SuspendedProcesses: []string{"AZRebalance"},
				LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "web", Version: "$Latest"}},
			{Name: "gpu", Max: 3, Desired: 1, Zones: []string{zoneA}, Tags: tags(),
				LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "gpu", Version: "$Latest"}},
		},
	}
}

// newSite starts a site after a change of its account, and waits for its nodes.
func newSite(t *testing.T, change func(*fakeaws.Config)) *site {
	t.Helper()
	s := &site{cluster: sharedCluster(t)}
	s.client = s.cluster.Client()
	cfg := sound()
	if change != nil {
		change(&cfg)
	}
	var err error
	s.aws, err = fakeaws.Start(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { s.close(t) })
	awsclients.Point(t, s.aws.URL())
	t.Setenv("KUBECONFIG", s.cluster.Kubeconfig())
	require.NoError(t, s.aws.Attach(s.client))
	want := 0
	for _, g := range cfg.AutoScalingGroups {
		want += g.Desired
	}
	s.until(t, "every instance has a Ready node, with a GPU where it has one", func(ctx context.Context) (bool, error) {
		nodes, err := s.nodes(ctx)
		return err == nil && len(nodes) == want && !slices.ContainsFunc(nodes, func(n corev1.Node) bool { return !ready(n, cfg) }), err
	})
	return s
}

func ready(n corev1.Node, cfg fakeaws.Config) bool {
	isReady := slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
	gpus := n.Status.Allocatable["nvidia.com/gpu"]
	return isReady && (n.Labels[corev1.LabelInstanceTypeStable] != "g4dn.xlarge" || cfg.Delays.GPU == fakeaws.Never || !gpus.IsZero())
}

func (s *site) nodes(ctx context.Context) ([]corev1.Node, error) {
	all, err := s.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all.Items, func(n corev1.Node) bool { _, ok := nodemeta.Instance(n.Spec.ProviderID); return !ok }), nil
}

// keepsNodeElsewhere leaves the site the one node whose provider ID is not EC2's.
func (s *site) keepsNodeElsewhere(t *testing.T) {
	t.Helper()
	nodes, err := s.nodes(t.Context())
	require.NoError(t, err)
	for _, n := range nodes {
		require.NoError(t, s.client.CoreV1().Nodes().Delete(t.Context(), n.Name, metav1.DeleteOptions{}))
	}
}

func (s *site) until(t *testing.T, what string, done func(context.Context) (bool, error)) {
	t.Helper()
	require.NoErrorf(t, wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, patience, true, done), "%s", what)
}

func (s *site) close(t *testing.T) {
	assert.NoError(t, s.aws.Close())
	ctx := context.WithoutCancel(t.Context())
	nodes, err := s.nodes(ctx)
	assert.NoError(t, err)
	for _, n := range nodes {
		assert.NoError(t, s.client.CoreV1().Nodes().Delete(ctx, n.Name, metav1.DeleteOptions{}))
	}
}

func run(t *testing.T, args ...string) (int, doctor.Report, string) {
	t.Helper()
	var out, complaints bytes.Buffer
	code := command.Run(t.Context(), "asgctl", slices.Concat([]string{"doctor", "-o", "json"}, args), &out, &complaints, "v1")
	var report doctor.Report
	if out.Len() > 0 {
		require.NoErrorf(t, json.Unmarshal(out.Bytes(), &report), "in %s", out.String())
	}
	return code, report, complaints.String()
}

func checkOf(t *testing.T, r doctor.Report, name string) doctor.Check {
	t.Helper()
	at := slices.IndexFunc(r.Checks, func(c doctor.Check) bool { return c.Name == name })
	require.Truef(t, at >= 0, "no check %q", name)
	return r.Checks[at]
}

func areSound(t *testing.T, r doctor.Report, names ...string) {
	t.Helper()
	for _, name := range names {
		c := checkOf(t, r, name)
		assert.Equalf(t, doctor.Sound, c.Outcome, "%+v", c)
	}
}

func said(c doctor.Check, words string) *doctor.Finding {
	for i, f := range c.Findings {
		if strings.Contains(f.Object+": "+f.Problem, words) {
			return &c.Findings[i]
		}
	}
	return nil
}
