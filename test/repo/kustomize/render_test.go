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

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"
)

var update = flag.Bool("update", false, "rewrite the rendered overlays in manifests/deploy and the golden files")

const (
	root      = "../../.."
	kustomize = root + "/manifests/kustomize"
)

// programs are the control plane's programs, with kubectl.
var programs = sync.OnceValues(func() (controlplane.Binaries, error) {
	return controlplane.Build(context.Background(), os.Stderr)
})

// kubectl runs kubectl and returns its standard output.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs the control plane's kubectl")
	}
	built, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(t.Context(), built.Kubectl, args...)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		t.Fatalf("kubectl %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), complaints.String())
	}
	return out.String()
}

// names returns the directories in a directory of manifests/kustomize.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(kustomize, dir))
	if err != nil || len(entries) == 0 {
		t.Fatalf("no %s: %v", dir, err)
	}
	var found []string
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	return found
}

// compose returns a directory with a kustomization of the base with the components.
func compose(t *testing.T, components ...string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	target, err := filepath.Abs(kustomize)
	if err != nil {
		t.Fatal(err)
	}
	path, err := filepath.Rel(dir, target) // kustomize takes no absolute path
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("resources: [%s/base]\ncomponents:\n", path)
	for _, name := range components {
		text += fmt.Sprintf("- %s/components/%s\n", path, name)
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func matchGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
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
	if err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile(filepath.Join(root, "docs", "flags.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`- (--[a-z-]+)`).FindAllStringSubmatch(string(rendered), -1)
	if len(found) == 0 {
		t.Error("no component has a flag")
	}
	for _, flag := range found {
		if !strings.Contains(string(list), "| `"+flag[1]+"` |") {
			t.Errorf("%s is not in docs/flags.md", flag[1])
		}
	}
}
