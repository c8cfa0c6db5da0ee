package kustomize

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAgainstARealAPIServer(t *testing.T) {
	cluster := controlplane.StartFor(t, controlplane.Options{WithoutKWOK: true})
	admin := func(t *testing.T, args ...string) {
		t.Helper()
		kubectl(t, append([]string{"--kubeconfig", cluster.Kubeconfig()}, args...)...)
	}
	accepted := func(t *testing.T, args ...string) {
		t.Helper()
		admin(t, append([]string{"apply", "--dry-run=server", "--warnings-as-errors"}, args...)...)
	}
	module, err := controlplane.DownloadModule(t.Context(), "operator", "github.com/prometheus-operator/prometheus-operator")
	require.NoError(t, err)
	definition := func(kind string) string {
		return filepath.Join(module, "example", "prometheus-operator-crd", "monitoring.coreos.com_"+kind+".yaml")
	}
	require.NoError(t, cluster.Define(t.Context(), definition("servicemonitors"), definition("podmonitors"), definition("prometheusrules")))
	for _, name := range names(t, "overlays") {
		t.Run("overlay/"+name, func(t *testing.T) { accepted(t, "-k", filepath.Join(kustomize, "overlays", name)) })
	}
	accepted(t, "-f", root+"/manifests/deploy/rbac-optional.yaml")
	accepted(t, "-f", root+"/manifests/monitoring/podmonitor.yaml")

	// From here on the API server warns of pods that the strictest of the Pod Security Standards would refuse.
	admin(t, "label", "namespace", "kube-system", "pod-security.kubernetes.io/warn=restricted")
	t.Run("base", func(t *testing.T) { accepted(t, "-k", filepath.Join(kustomize, "base")) })
	for _, name := range names(t, "components") {
		t.Run("component/"+name, func(t *testing.T) { accepted(t, "-k", compose(t, name)) })
	}
	t.Run("the document's example is applied", func(t *testing.T) { applyExample(t, cluster) })
}

var example = regexp.MustCompile("(?ms)^## Kustomize\n.*?^```sh\n(.*?)^```$")

// applyExample runs the commands of docs/install.md. Its overlay replaces every upper-case word of the components.
func applyExample(t *testing.T, cluster *controlplane.Cluster) {
	document, err := os.ReadFile(root + "/docs/install.md")
	require.NoError(t, err)
	commands := example.FindSubmatch(document)
	require.NotNil(t, commands, "docs/install.md has no example of kustomize")
	dir := t.TempDir()
	manifests, err := filepath.Abs(root + "/manifests")
	require.NoError(t, err)
	require.NoError(t, os.Symlink(manifests, filepath.Join(dir, "manifests")))
	values := strings.NewReplacer("CLUSTER_NAME", "main", "REGION", "eu-central-1", "REPOSITORY", "registry.example.com/mine", "TAG", "1",
		"ROLE_ARN", "arn:aws:iam::111122223333:role/r", "QUEUE_URL", "https://queue.example.com/q")
	shell := exec.CommandContext(t.Context(), "sh", "-euc", values.Replace(string(commands[1])))
	shell.Dir = dir
	shell.Env = append(os.Environ(), "PATH="+filepath.Dir(cluster.Kubectl())+":"+os.Getenv("PATH"), "KUBECONFIG="+cluster.Kubeconfig())
	out, err := shell.CombinedOutput()
	require.NoErrorf(t, err, "%s", out)

	deployment, err := cluster.Client().AppsV1().Deployments("kube-system").Get(t.Context(), "cluster-autoscaler", metav1.GetOptions{})
	require.NoError(t, err)
	container := deployment.Spec.Template.Spec.Containers[0]
	for _, want := range []string{
		"--asg-region=eu-central-1",
		"--node-group-auto-discovery=asg:tag=k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/main",
		"--asg-interruption-queue=$(INTERRUPTION_QUEUE)",
	} {
		assert.Truef(t, slices.Contains(container.Command, want), "command %q lacks %s", container.Command, want)
	}
	if want := (corev1.EnvVar{Name: "INTERRUPTION_QUEUE", Value: "https://queue.example.com/q"}); !slices.Contains(container.Env, want) {
		t.Errorf("variables %v lack %v", container.Env, want)
	}
	assert.Equal(t, "registry.example.com/mine:1", container.Image, "image")
	account, err := cluster.Client().CoreV1().ServiceAccounts("kube-system").Get(t.Context(), "cluster-autoscaler", metav1.GetOptions{})
	require.NoError(t, err)
	if got, want := account.Annotations["eks.amazonaws.com/role-arn"], "arn:aws:iam::111122223333:role/r"; got != want {
		t.Errorf("role = %s, want %s", got, want)
	}
}
