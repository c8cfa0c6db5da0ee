package chart

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"
)

// crdsDir is the chart of the custom resource definitions, and a kustomization of them.
const crdsDir = root + "/manifests/crds"

// definitionsOf returns the definitions in a directory by the name of their file.
func definitionsOf(t *testing.T, dir string) map[string]string {
	paths, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	require.Truef(t, err == nil && len(paths) != 0, "no definitions in %s: %v", dir, err)
	found := map[string]string{}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		found[filepath.Base(path)] = string(raw)
	}
	return found
}

// The definitions are the files of the core's module for its kinds, in the release that go.mod requires. With -update they are copied.
func TestDefinitionsAreTheCores(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f={{.Dir}}", "k8s.io/autoscaler/cluster-autoscaler/apis").Output()
	require.NoError(t, err)
	want := definitionsOf(t, filepath.Join(strings.TrimSpace(string(out)), "config", "crd"))
	if *update {
		for name, text := range want {
			require.NoError(t, os.WriteFile(filepath.Join(crdsDir, "files", name), []byte(text), 0o644))
		}
	}
	assert.Empty(t, cmp.Diff(want, definitionsOf(t, filepath.Join(crdsDir, "files"))),
		"run go test ./test/repo/chart -run TestDefinitions -args -update (-core +manifests/crds)")
}

// The chart, whichever helm renders it, and the kustomization have every definition. The chart's stay when it is uninstalled.
func TestDefinitionsAreRendered(t *testing.T) {
	want := map[string]object{}
	var files []string
	for name, text := range definitionsOf(t, filepath.Join(crdsDir, "files")) {
		definition := objects(t, text)[0]
		want[definition["metadata"].(map[string]any)["name"].(string)] = definition
		files = append(files, "files/"+name)
	}
	for _, version := range helmVersions {
		mustHelm(t, version, "lint", "--strict", crdsDir)
		got := map[string]object{}
		for _, definition := range objects(t, mustHelm(t, version, "template", "crds", crdsDir)) {
			metadata := definition["metadata"].(map[string]any)
			annotations := metadata["annotations"].(map[string]any)
			assert.Equalf(t, "keep", annotations["helm.sh/resource-policy"],
				"helm %s: %s goes with its release, and all objects of the kind", version, metadata["name"])
			delete(annotations, "helm.sh/resource-policy")
			got[metadata["name"].(string)] = definition
		}
		assert.Emptyf(t, cmp.Diff(want, got), "helm %s (-files +rendered)", version)
	}
	slices.Sort(files)
	raw, err := os.ReadFile(filepath.Join(crdsDir, "kustomization.yaml"))
	require.NoError(t, err)
	var kustomization struct{ Resources []string }
	require.NoError(t, yaml.Unmarshal(raw, &kustomization))
	assert.Empty(t, cmp.Diff(files, kustomization.Resources), "resources of the kustomization (-files +listed)")
}

// installDefinitions installs the definitions by kustomize and by each helm. A release takes over what kubectl has made, and leaves it behind.
func installDefinitions(t *testing.T, cluster *controlplane.Cluster) {
	_, err := cluster.RunKubectl(t.Context(), "", "apply", "-k", crdsDir)
	require.NoError(t, err)
	areServed(t, cluster)
	for _, version := range helmVersions {
		r := release{cluster: cluster, version: version, namespace: namespace, name: "asg-autoscaler-crds"}
		r.helm(t, "install", r.name, crdsDir, "--take-ownership")
		r.helm(t, "upgrade", r.name, crdsDir)
		r.helm(t, "uninstall", r.name)
		areServed(t, cluster)
	}
}

// areServed wants the kinds of all definitions to be listed, in the versions that the core reads.
func areServed(t *testing.T, cluster *controlplane.Cluster) {
	t.Helper()
	_, err := cluster.RunKubectl(t.Context(), "", "wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
	require.NoError(t, err)
	for path, kind := range map[string]string{"v1/provisioningrequests": "ProvisioningRequestList", "v1beta1/capacitybuffers": "CapacityBufferList",
		"v1alpha1/capacityquotas": "CapacityQuotaList"} {
		var list struct{ Kind string }
		raw, err := cluster.Client().CoreV1().RESTClient().Get().AbsPath("/apis/autoscaling.x-k8s.io/" + path).DoRaw(t.Context())
		if err != nil {
			t.Error(err)
		} else if err := json.Unmarshal(raw, &list); err != nil || list.Kind != kind {
			t.Errorf("%s: kind %q, %v", path, list.Kind, err)
		}
	}
}
