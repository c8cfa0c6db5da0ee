package kustomize

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/manifests"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPluginsCertificatesAreValid(t *testing.T) {
	cluster := controlplane.StartFor(t, controlplane.Options{WithoutKWOK: true})
	module, err := controlplane.DownloadModule(t.Context(), "certmanager", "github.com/cert-manager/cert-manager")
	require.NoError(t, err)
	require.NoError(t, cluster.Define(t.Context(), filepath.Join(module, "deploy", "crds")))
	shipped, err := manifests.FS.ReadFile("deploy/plugin-cert-manager.yaml")
	require.NoError(t, err)
	if out, err := cluster.RunKubectl(t.Context(), strings.Replace(string(shipped), "secretName:", "secret:", 1), "create", "-f", "-", "--dry-run=server"); err == nil {
		t.Errorf("the API server accepts an unknown field:\n%s", out)
	}
	out, err := cluster.RunKubectl(t.Context(), string(shipped), "create", "-f", "-")
	want := strings.Count(string(shipped), "\nkind: ")
	assert.Truef(t, err == nil && strings.Count(out, " created") == want, "error %v, want %d objects:\n%s", err, want, out)
}
