package doctor_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/command"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/doctor"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/loopback"
)

// needs returns the needs of the parts of a check that were not done.
func needs(c doctor.Check) string {
	var all []string
	for _, u := range c.NotChecked {
		all = append(all, u.Needs)
	}
	return strings.Join(all, ", ")
}

func TestChecksWithoutACluster(t *testing.T) {
	newSite(t, nil)
	code, report, complaints := run(t, "--kubeconfig", filepath.Join(t.TempDir(), "none"), "--node-group-auto-discovery", "asg:tag="+enabled, "--asg-cluster-name", "prod")
	assert.Equalf(t, command.ExitFine, code, "exit code: %s", complaints)
	for _, name := range []string{"rbac", "limits", "accelerators", "rivals"} {
		c := checkOf(t, report, name)
		assert.Truef(t, c.Outcome == doctor.NotChecked && needs(c) != "", "%+v", c)
	}
	for _, name := range []string{"iam", "ownership", "tags", "processes"} {
		c := checkOf(t, report, name)
		assert.Equalf(t, doctor.Sound, c.Outcome, "%+v", c)
	}
}

// In its pod the autoscaler's own account may ask about itself alone. It still reads pods, nodes and DaemonSets.
func TestChecksAsTheAutoscaler(t *testing.T) {
	s := newSite(t, nil)
	kubeconfig, err := s.cluster.ServiceAccountKubeconfig(t.Context(), namespace, account)
	require.NoError(t, err)
	code, report, complaints := run(t, "--kubeconfig", kubeconfig)
	assert.Equalf(t, command.ExitFine, code, "exit code: %s", complaints)
	for _, c := range report.Checks {
		if c.Outcome != doctor.Sound && (c.Name != "running" || !strings.Contains(needs(c), "pods/proxy")) {
			t.Errorf("%+v", c)
		}
	}
	s.changeRole(t)
	_, report, _ = run(t, "--kubeconfig", kubeconfig)
	c := checkOf(t, report, "rbac")
	assert.NotNilf(t, said(c, "it may not create pods/eviction"), "%+v", c)
}

// Another account learns nothing about the autoscaler's, and that is no finding.
func TestChecksWithoutPermissions(t *testing.T) {
	s := newSite(t, nil)
	kubeconfig, err := s.cluster.ServiceAccountKubeconfig(t.Context(), namespace, "default")
	require.NoError(t, err)
	s.aws.Deny("GetQueueAttributes")
	code, report, complaints := run(t, "--kubeconfig", kubeconfig, "--node-group-auto-discovery", "asg:tag="+enabled, "--asg-cluster-name", "prod",
		"--asg-interruption-queue", "interruptions")
	assert.Equalf(t, command.ExitFine, code, "exit code: %s", complaints)
	for name, want := range map[string]string{
		"rbac": "create subjectaccessreviews.authorization.k8s.io", "limits": "list pods", "accelerators": "list nodes", "rivals": "list pods",
		"queue": "sqs:GetQueueAttributes",
	} {
		c := checkOf(t, report, name)
		assert.Truef(t, len(c.Findings) == 0 && strings.Contains(needs(c), want), "want need %q: %+v", want, c)
	}
}

func TestChecksWithoutAWS(t *testing.T) {
	newSite(t, nil)
	address, err := loopback.FreeAddress()
	require.NoError(t, err)
	t.Setenv("AWS_ENDPOINT_URL", "http://"+address)
	code, report, complaints := run(t)
	assert.Equalf(t, command.ExitFine, code, "exit code: %s", complaints)
	for _, name := range []string{"iam", "ownership", "tags", "identity", "groups", "processes", "types"} {
		c := checkOf(t, report, name)
		assert.Truef(t, c.Outcome == doctor.NotChecked && strings.Contains(c.NotChecked[0].Reason, "unreachable"), "%+v", c)
	}
	for _, name := range []string{"rbac", "rivals"} {
		c := checkOf(t, report, name)
		assert.Equalf(t, doctor.Sound, c.Outcome, "%+v", c)
	}
}

func TestNothingCanBeRead(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "KUBERNETES_SERVICE_HOST"} {
		t.Setenv(name, "")
	}
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	code, _, complaints := run(t, "--kubeconfig", none)
	if code != command.ExitCannotRun || !strings.Contains(complaints, "AWS_REGION") || !strings.Contains(complaints, "--kubeconfig") {
		t.Errorf("exit code %d: %s", code, complaints)
	}
}

// kubeconfigFor writes a kubeconfig for an API server without credentials, and returns its path.
func kubeconfigFor(t *testing.T, server string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(path, []byte(`{"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "c", "cluster": {"server": "`+server+`"}}],
"contexts": [{"name": "c", "context": {"cluster": "c"}}], "current-context": "c"}`), 0o600))
	return path
}

// An endpoint that accepts and never answers holds the checks up for the time limit at most.
func TestTimeLimit(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	kubeconfig := kubeconfigFor(t, "http://"+listener.Addr().String())
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": "http://" + listener.Addr().String(), "AWS_REGION": "us-west-2", "AWS_ACCESS_KEY_ID": "test",
		"AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"} {
		t.Setenv(name, value)
	}
	code, _, complaints := run(t, "--kubeconfig", kubeconfig, "--timeout", "1s", "--asg-interruption-queue", "q")
	assert.Truef(t, code == command.ExitCannotRun && strings.Contains(complaints, "neither AWS nor a cluster can be read"),
		"exit code %d: %s", code, complaints)
}

func TestSkippedChecks(t *testing.T) {
	newSite(t, func(c *fakeaws.Config) { quoted(c, "web").SuspendedProcesses = nil })
	if code, report, complaints := run(t, "--skip", "processes"); code != command.ExitFine || len(report.Checks) != len(doctor.Names())-1 {
		t.Errorf("exit code %d, %d checks: %s", code, len(report.Checks), complaints)
	}
	code, _, complaints := run(t, "--skip", "process")
	assert.Truef(t, code == command.ExitWrongUse && strings.Contains(complaints, `no check "process"`), "exit code %d: %s", code, complaints)
}

func TestHostileNames(t *testing.T) {
	const name = "web'; rm -rf /\x1b[2J\u009b"
	newSite(t, func(c *fakeaws.Config) {
		quoted(c, "web").Desired, quoted(c, "web").SuspendedProcesses = 0, []string{"Launch"}
		quoted(c, "web").Name = name
		c.AutoScalingGroups[0].Tags["K8S.io/cluster-autoscaler/enabled\x1b]0;x\a"] = "true"
	})
	for _, format := range []string{"table", "json", "yaml"} {
		var out, complaints bytes.Buffer
		if code := command.Run(t.Context(), "asgctl", []string{"doctor", "-o", format}, &out, &complaints, "v1"); code != command.ExitFindings {
			t.Errorf("%s: exit code %d: %s", format, code, complaints.String())
		}
		if at := strings.IndexFunc(out.String(), func(r rune) bool { return unicode.IsControl(r) && r != '\n' }); at >= 0 {
			t.Errorf("%s: control character at %d: %.80q", format, at, out.String()[at:])
		}
	}
	_, report, _ := run(t, "--asg-interruption-queue", "gone\x1b[2J")
	if f := said(checkOf(t, report, "queue"), "does not exist"); f == nil || !strings.Contains(f.Object, "gone") || strings.Contains(f.Object, "\x1b") {
		t.Errorf("%+v", checkOf(t, report, "queue"))
	}
	for _, words := range []string{"AZRebalance runs", "its Launch process is suspended"} {
		f := said(checkOf(t, report, "processes"), words)
		assert.Truef(t, f != nil && strings.Contains(f.Next, `--auto-scaling-group-name 'web'\''; rm -rf /`), "%s: %+v", words, f)
	}
}

// A thousand groups with one fault are counted, and some are named.
func TestManyFindings(t *testing.T) {
	newSite(t, func(c *fakeaws.Config) {
		for i := range 120 {
			other(c, func(g *fakeaws.AutoScalingGroup) { g.Name, g.SuspendedProcesses = "g"+strings.Repeat("x", i), nil })
		}
	})
	_, report, complaints := run(t)
	if c := checkOf(t, report, "processes"); len(c.Findings) != 50 || c.Omitted != 70 || !strings.Contains(complaints, "findings") {
		t.Errorf("%d findings, %d omitted: %s", len(c.Findings), c.Omitted, complaints)
	}
}

func TestTable(t *testing.T) {
	s := newSite(t, func(c *fakeaws.Config) { quoted(c, "web").SuspendedProcesses = nil })
	s.aws.Deny("GetQueueAttributes")
	var out, complaints bytes.Buffer
	command.Run(t.Context(), "asgctl", []string{"doctor"}, &out, &complaints, "v1")
	lines := strings.Split(out.String(), "\n")
	for _, want := range []string{
		`Region us-west-2, cluster "prod" (--asg-cluster-name)`,
		`processes      findings      1          -             suspended processes, AZRebalance and scale-in protection`,
		`queue          not-checked   -          1             the queue of interruptions and its rules`,
		`1. processes: Auto Scaling group "web": its process AZRebalance runs over 2 zones: AWS terminates nodes there without a drain, to balance zones`,
		`   known from: no suspended AZRebalance in DescribeAutoScalingGroups, and NewInstancesProtectedFromScaleIn is false`,
		`   next: aws autoscaling suspend-processes --region us-west-2 --auto-scaling-group-name web --scaling-processes AZRebalance`,
		`  - queue: the queue of interruptions. It needs: sqs:GetQueueUrl and sqs:GetQueueAttributes, which the shipped policy leaves out because only this check uses it`,
	} {
		assert.Truef(t, slices.Contains(lines, want), "no line %q in\n%s", want, out.String())
	}
	if want := "asgctl: 1 finding\n"; complaints.String() != want {
		t.Errorf("complaints %q, want %q", complaints.String(), want)
	}
}

// A Helm release has a ServiceAccount of its own name. Its pod's flags count, and its roles are judged.
func TestOnlyAutoscalerIsOurs(t *testing.T) {
	s := newSite(t, nil)
	for _, name := range []string{"cluster-autoscaler-0", "cluster-autoscaler-1"} {
		pod, err := s.client.CoreV1().Pods(namespace).Get(t.Context(), name, metav1.GetOptions{})
		require.NoError(t, err)
		s.remove(t, pod)
		t.Cleanup(func() {
			_, err := s.client.CoreV1().Pods(namespace).Create(context.Background(), autoscalerPod(name, pod.Spec.Containers[0].Image), metav1.CreateOptions{})
			require.NoError(t, err)
		})
	}
	pod := autoscalerPod("release", "example.org:5000/asg-autoscaler:v1")
	pod.Namespace, pod.Spec.ServiceAccountName = "default", "default"
	s.create(t, pod)
	shadow := autoscalerPod("shadow", pod.Spec.Containers[0].Image) // is neither it nor a rival
	shadow.Spec.ServiceAccountName = "default"
	shadow.Spec.Containers[0].Args = append(shadow.Spec.Containers[0].Args, "--shadow")
	s.create(t, shadow)
	_, report, _ := run(t)
	c := checkOf(t, report, "rbac")
	assert.NotNilf(t, said(c, "system:serviceaccount:default:default: it may not"), "%+v", c)
	c = checkOf(t, report, "rivals")
	assert.Equalf(t, doctor.Sound, c.Outcome, "%+v", c)
	assert.Truef(t, report.Cluster == `"prod" (--asg-cluster-name)`, "cluster %s: the flags of the pod are not taken", report.Cluster)
}

// Without the flag the name is settled as in the autoscaler: by the groups of the nodes, or else by the VPC CNI.
func TestNameOfTheCluster(t *testing.T) {
	t.Run("groups of the nodes", func(t *testing.T) {
		newSite(t, nil)
		_, report, _ := run(t, "--service-account", "none")
		assert.Truef(t, report.Cluster == `"prod" (groups of its nodes)`, "cluster %s", report.Cluster)
	})
	t.Run("VPC CNI", func(t *testing.T) {
		s := newSite(t, func(c *fakeaws.Config) {
			for _, g := range c.AutoScalingGroups {
				delete(g.Tags, "kubernetes.io/cluster/prod")
			}
		})
		sets, labels := s.client.AppsV1().DaemonSets(namespace), map[string]string{"app": "cni"}
		_, err := sets.Create(t.Context(), &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "aws-node"}, Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{NodeSelector: map[string]string{"no": "node"}, Containers: []corev1.Container{
					{Name: "aws-node", Image: "cni", Env: []corev1.EnvVar{{Name: "CLUSTER_NAME", Value: "eks-prod"}}}}}}}}, metav1.CreateOptions{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, sets.Delete(context.Background(), "aws-node", metav1.DeleteOptions{})) })
		_, report, _ := run(t, "--service-account", "none")
		assert.Truef(t, report.Cluster == `"eks-prod" (VPC CNI)`, "cluster %s", report.Cluster)
	})
}

func TestFlagsOfAContainer(t *testing.T) {
	c := corev1.Container{Command: []string{"./cluster-autoscaler", "--nodes=0:1:a", "--nodes", "0:2:b", "-v=4", "--on", "--asg-region=$(REGION)", "--aws-use-static-instance-list", "--aws-zonal-groups=all"},
		Args: []string{"--secret=$(SECRET)", "--asg-cluster-name=$(NONE)"},
		Env: []corev1.EnvVar{{Name: "REGION", Value: "old"}, {Name: "REGION", Value: "cn-north-1"},
			{Name: "SECRET", ValueFrom: &corev1.EnvVarSource{}}}}
	want := map[string][]string{"nodes": {"0:1:a", "0:2:b"}, "v": {"4"}, "on": {""}, "asg-region": {"cn-north-1"}, "aws-use-static-instance-list": {""}, "asg-zonal-groups": {"all"}, "secret": {"$(SECRET)"},
		"asg-cluster-name": {"$(NONE)"}}
	assert.Empty(t, cmp.Diff(want, map[string][]string(doctor.FlagsOf(c))), "flags differ (-want +got)")
}

func TestContainersOfAutoscalers(t *testing.T) {
	for image, want := range map[string]string{
		"registry.k8s.io/autoscaling/cluster-autoscaler:v1.35.0":     "cluster-autoscaler",
		"example.org:5000/cluster-autoscaler-arm64":                  "cluster-autoscaler",
		"asg-cluster-autoscaler@sha256:0":                            "cluster-autoscaler",
		"registry.k8s.io/cpa/cluster-proportional-autoscaler:v1.9.0": "",
		"quay.io/openshift/cluster-autoscaler-operator:v4":           "",
		"public.ecr.aws/karpenter/controller:1.8.0@sha256:0":         "karpenter",
		"example.org/karpenter":                                      "karpenter",
		"example.org/karpenter-exporter":                             "",
		"example.org/team/controller":                                "",
	} {
		assert.Equalf(t, want, doctor.Runs(corev1.Container{Name: "main", Image: image}), "%s runs", image)
	}
	assert.Equal(t, "cluster-autoscaler", doctor.Runs(corev1.Container{Name: "aws-cluster-autoscaler", Image: "mirror/x"}),
		"a container with the name of stock's chart runs")
}

// docs/asgctl.md has a row for each check, in the same order.
func TestDocumentListsTheChecks(t *testing.T) {
	raw, err := os.ReadFile("../../../docs/asgctl.md")
	require.NoError(t, err)
	_, section, _ := strings.Cut(string(raw), "\n## Doctor\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var rows []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z]+)` \\|").FindAllStringSubmatch(section, -1) {
		rows = append(rows, row[1])
	}
	assert.Empty(t, cmp.Diff(doctor.Names(), rows), "rows of docs/asgctl.md differ from the checks (-want +got)")
}
