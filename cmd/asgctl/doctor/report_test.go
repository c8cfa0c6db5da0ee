package doctor_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
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
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/command"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/doctor"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsclients"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/loopback"
)

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
	areSound(t, report, "iam", "ownership", "tags", "processes")
}

// In its pod the autoscaler's own account may ask about itself alone. It still reads pods, nodes and DaemonSets.
func TestChecksAsTheAutoscaler(t *testing.T) {
	s := newSite(t, nil)
	kubeconfig, err := s.cluster.ServiceAccountKubeconfig(t.Context(), namespace, account)
	require.NoError(t, err)
	code, report, complaints := run(t, "--kubeconfig", kubeconfig)
	assert.Equalf(t, command.ExitFine, code, "exit code: %s", complaints)
	for _, c := range report.Checks {
		assert.Falsef(t, c.Outcome != doctor.Sound && (c.Name != "running" || !strings.Contains(needs(c), "pods/proxy")), "%+v", c)
	}
	s.withoutAccess(t, account, "create", "pods/eviction")
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
		"rbac": "list pods", "limits": "list pods", "accelerators": "list nodes", "rivals": "list pods",
		"queue": "sqs:GetQueueAttributes",
	} {
		c := checkOf(t, report, name)
		assert.Truef(t, len(c.Findings) == 0 && strings.Contains(needs(c), want), "want need %q: %+v", want, c)
	}
}

func TestChecksWithoutAWS(t *testing.T) {
	newSite(t, nil)
	answering := os.Getenv("AWS_ENDPOINT_URL")
	address, err := loopback.FreeAddress()
	require.NoError(t, err)
	t.Setenv("AWS_ENDPOINT_URL", "http://"+address)
	code, report, complaints := run(t)
	assert.Equalf(t, command.ExitFine, code, "exit code: %s", complaints)
	for _, name := range []string{"iam", "ownership", "tags", "identity", "groups", "processes", "types"} {
		c := checkOf(t, report, name)
		assert.Truef(t, c.Outcome == doctor.NotChecked && strings.Contains(c.NotChecked[0].Reason, "unreachable"), "%+v", c)
	}
	areSound(t, report, "rbac", "rivals")

	t.Setenv("AWS_ENDPOINT_URL", answering)
	t.Setenv("AWS_ENDPOINT_URL_ARC_ZONAL_SHIFT", "http://"+address) // the one service that the network does not reach
	_, report, _ = run(t)
	iam := checkOf(t, report, "iam")
	assert.Containsf(t, needs(iam), "an endpoint of the service", "%+v", iam)
	assert.NotContainsf(t, needs(iam), "--timeout", "%+v", iam)
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
	assert.Truef(t, code == command.ExitCannotRun && strings.Contains(complaints, "AWS_REGION") && strings.Contains(complaints, "--kubeconfig"),
		"exit code %d: %s", code, complaints)
}

// An endpoint that accepts and never answers holds the checks up for the time limit at most.
func TestTimeLimit(t *testing.T) {
	url := loopback.Silent(t)
	awsclients.Point(t, url)
	code, _, complaints := run(t, "--kubeconfig", loopback.Kubeconfig(t, url), "--timeout", "1s", "--asg-interruption-queue", "q")
	assert.Truef(t, code == command.ExitCannotRun && strings.Contains(complaints, "neither AWS nor a cluster can be read"),
		"exit code %d: %s", code, complaints)
}

// A Ctrl-C while the autoscaler is asked cuts off the calls behind it, which are no findings.
func TestInterruptedChecksAreNoAnswer(t *testing.T) {
	awsclients.Point(t, awsclients.Serve(t, fakeaws.Config{}).URL())
	ctx, interrupt := context.WithCancel(t.Context())
	autoscaler := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { interrupt() }))
	defer autoscaler.Close()
	var out, complaints bytes.Buffer
	args := []string{"doctor", "--url", autoscaler.URL, "--kubeconfig", filepath.Join(t.TempDir(), "none")}
	assert.Equal(t, command.ExitCannotRun, command.Run(ctx, "asgctl", args, &out, &complaints, "v1"))
	assert.Equal(t, "asgctl: context canceled\n", complaints.String())
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
		code := command.Run(t.Context(), "asgctl", []string{"doctor", "-o", format}, &out, &complaints, "v1")
		assert.Equalf(t, command.ExitFindings, code, "%s: %s", format, complaints.String())
		if at := strings.IndexFunc(out.String(), func(r rune) bool { return unicode.IsControl(r) && r != '\n' }); at >= 0 {
			t.Errorf("%s: control character at %d: %.80q", format, at, out.String()[at:])
		}
	}
	_, report, _ := run(t, "--asg-interruption-queue", "gone\x1b[2J")
	f := said(checkOf(t, report, "queue"), "does not exist")
	assert.Truef(t, f != nil && strings.Contains(f.Object, "gone") && !strings.Contains(f.Object, "\x1b"), "%+v", checkOf(t, report, "queue"))
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
	assert.Equal(t, "asgctl: 1 finding\n", complaints.String(), "complaints")
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
		sets := s.client.AppsV1().DaemonSets(namespace)
		cni := daemonSet("aws-node", corev1.Container{Name: "aws-node", Image: "cni", Env: []corev1.EnvVar{{Name: "CLUSTER_NAME", Value: "eks-prod"}}})
		_, err := sets.Create(t.Context(), cni, metav1.CreateOptions{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, sets.Delete(context.Background(), "aws-node", metav1.DeleteOptions{})) })
		_, report, _ := run(t, "--service-account", "none")
		assert.Truef(t, report.Cluster == `"eks-prod" (VPC CNI)`, "cluster %s", report.Cluster)
	})
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
