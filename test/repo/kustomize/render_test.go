package kustomize

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"
)

var update = flag.Bool("update", false, "rewrite the rendered overlays in manifests/deploy and the golden files")

const (
	root      = "../../.."
	kustomize = root + "/manifests/kustomize"
)

// programs are the control plane's programs, with kubectl.
var programs = sync.OnceValues(func() (controlplane.Binaries, error) { return controlplane.Build(context.Background(), os.Stderr) })

// kubectl runs kubectl and returns its standard output.
func kubectl(t *testing.T, args ...string) string {
	if testing.Short() {
		t.Skip("needs the control plane's kubectl")
	}
	built, err := programs()
	require.NoError(t, err)
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(t.Context(), built.Kubectl, args...)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	require.NoErrorf(t, cmd.Run(), "kubectl %s\n%s%s", strings.Join(args, " "), out.String(), complaints.String())
	return out.String()
}

// names returns the directories in a directory of manifests/kustomize.
func names(t *testing.T, dir string) []string {
	entries, err := os.ReadDir(filepath.Join(kustomize, dir))
	require.Truef(t, err == nil && len(entries) != 0, "no %s: %v", dir, err)
	var found []string
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	return found
}

// compose returns a directory with a kustomization of the base with the components.
func compose(t *testing.T, components ...string) string {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	target, err := filepath.Abs(kustomize)
	require.NoError(t, err)
	path, err := filepath.Rel(dir, target) // kustomize takes no absolute path
	require.NoError(t, err)
	text := fmt.Sprintf("resources: [%s/base]\ncomponents:\n", path)
	for _, name := range components {
		text += fmt.Sprintf("- %s/components/%s\n", path, name)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600))
	return dir
}

func matchGolden(t *testing.T, path, got string) {
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Emptyf(t, cmp.Diff(string(want), got), "%s (-want +got)", path)
}

func TestOverlaysAreTheShippedManifests(t *testing.T) {
	for _, name := range names(t, "overlays") {
		header := "# Generated: kubectl kustomize manifests/kustomize/overlays/" + name + "\n"
		matchGolden(t, filepath.Join(root, "manifests", "deploy", name+".yaml"), header+kubectl(t, "kustomize", filepath.Join(kustomize, "overlays", name)))
	}
}

// allComponents is the rendering of the base with all components but monitoring. test/scenario/monitoring tests its rules and dashboard.
const allComponents = "testdata/components.golden.yaml"

func TestComponentsMatchTheGolden(t *testing.T) {
	others := slices.DeleteFunc(names(t, "components"), func(name string) bool { return name == "monitoring" })
	matchGolden(t, allComponents, kubectl(t, "kustomize", compose(t, others...)))
}

// The list of all flags is generated.
func TestFlagsExist(t *testing.T) {
	rendered, err := os.ReadFile(allComponents)
	require.NoError(t, err)
	list, err := os.ReadFile(filepath.Join(root, "docs", "flags.md"))
	require.NoError(t, err)
	found := regexp.MustCompile(`- (--[a-z-]+)`).FindAllStringSubmatch(string(rendered), -1)
	assert.True(t, len(found) != 0, "no component has a flag")
	for _, flag := range found {
		assert.Containsf(t, string(list), "| `"+flag[1]+"` |", "%s is not in docs/flags.md", flag[1])
	}
}
