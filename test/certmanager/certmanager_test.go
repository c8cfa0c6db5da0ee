package certmanager

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/manifests"
	"github.com/asg-autoscaler/asg-autoscaler/test/controlplane"
	"github.com/asg-autoscaler/asg-autoscaler/test/testcluster"
)

func TestPluginsCertificatesAreValid(t *testing.T) {
	cluster := testcluster.Start(t, controlplane.Options{WithoutKWOK: true})
	module, err := controlplane.DownloadModule(t.Context(), "definitions", "github.com/cert-manager/cert-manager")
	if err != nil {
		t.Fatal(err)
	}
	kubectl := func(stdin string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), cluster.Kubectl(), append([]string{"--kubeconfig", cluster.Kubeconfig()}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, args := range [][]string{
		{"create", "-f", filepath.Join(module, "deploy", "crds")},
		{"wait", "crd", "--all", "--for=condition=Established", "--timeout=1m"},
	} {
		if out, err := kubectl("", args...); err != nil {
			t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	shipped, err := manifests.FS.ReadFile("deploy/plugin-cert-manager.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := kubectl(strings.Replace(string(shipped), "secretName:", "secret:", 1), "create", "-f", "-", "--dry-run=server"); err == nil {
		t.Errorf("the API server accepts an unknown field:\n%s", out)
	}
	out, err := kubectl(string(shipped), "create", "-f", "-")
	if want := strings.Count(string(shipped), "\nkind: "); err != nil || strings.Count(out, " created") != want {
		t.Errorf("error %v, want %d objects:\n%s", err, want, out)
	}
}
