package compatibility

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/repo/document"
)

const root = "../../.."

var update = flag.Bool("update", false, "rewrite docs/compatibility.md")

// facts are what the repository pins and tests.
type facts struct {
	built                                        string // version of Kubernetes whose scheduler the program contains
	floor, ceiling                               int    // minor versions of the table
	scenarios                                    map[int][]string
	plugin                                       []string // scenarios of the plugin
	coreDay, coreCommit, canaryDay, canaryCommit string
	canaryVersion                                string // of Kubernetes
}

func TestCompatibilityDocument(t *testing.T) {
	document.Check(t, root, "compatibility.md", page(collect(t)), *update)
}

func read(t *testing.T, path string) string {
	text, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(t, err)
	return string(text)
}

// found returns the groups of the pattern in a file.
func found(t *testing.T, path, pattern string) []string {
	groups := regexp.MustCompile(pattern).FindStringSubmatch(read(t, path))
	require.NotNilf(t, groups, "%s has no %q", path, pattern)
	return groups[1:]
}

func minorOf(t *testing.T, version string) int {
	minor, err := strconv.Atoi(strings.Split(version, ".")[1])
	require.NoError(t, err)
	return minor
}

func collect(t *testing.T) facts {
	const kubernetes = `\tk8s\.io/kubernetes v(\S+)`
	f := facts{built: found(t, "go.mod", kubernetes)[0], scenarios: map[int][]string{}}
	own := minorOf(t, found(t, "test/emulator/controlplane/binaries/go.mod", kubernetes)[0])
	f.floor = minorOf(t, found(t, "manifests/chart/Chart.yaml", `(?m)^kubeVersion: ">=([\d.]+)`)[0])

	core := found(t, "go.mod", `\tk8s\.io/autoscaler/cluster-autoscaler v[\d.]+-(\d{8})\d*-([0-9a-f]{12})`)
	day, err := time.Parse("20060102", core[0])
	require.NoError(t, err)
	f.coreDay, f.coreCommit = day.Format("2 January 2006"), core[1]
	canary := found(t, "docs/core.md", `The Cluster Autoscaler of (\d+ \w+ \d{4}) \(commit ([0-9a-f]{12})\)[^.]*is for Kubernetes ([\d.]+\d)\. It builds`)
	f.canaryDay, f.canaryCommit, f.canaryVersion = canary[0], canary[1], canary[2]
	f.ceiling = max(own, minorOf(t, f.built), minorOf(t, f.canaryVersion))

	paths, err := filepath.Glob(filepath.Join(root, "test", "scenario", "e2e", "testdata", "*.txtar"))
	require.Truef(t, err == nil && len(paths) != 0, "no scenarios: %v", err)
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".txtar")
		if strings.HasPrefix(name, "plugin_") {
			f.plugin = append(f.plugin, name)
			continue
		}
		minor := own
		script, err := txtar.ParseFile(path)
		require.NoError(t, err)
		for _, file := range script.Files {
			if file.Name == "kubernetes-version" {
				minor = minorOf(t, strings.TrimSpace(string(file.Data)))
			}
		}
		f.scenarios[minor] = append(f.scenarios[minor], name)
	}
	oldest := slices.Min(slices.Collect(maps.Keys(f.scenarios)))
	assert.Truef(t, oldest >= f.floor, "the chart refuses Kubernetes 1.%d, which a scenario runs", oldest)
	return f
}

func page(f facts) string {
	own := minorOfBuilt(f.built)
	var rows [][]string
	for minor := f.ceiling; minor >= f.floor; minor-- {
		rows = append(rows, []string{fmt.Sprintf("1.%d", minor), f.builtIn(minor, own), f.asPlugin(minor, own)})
	}
	return fmt.Sprintf(`# Which one for my cluster

**The newest release, for every Kubernetes from 1.%[1]d on.** Before the first one take the newest
commit of `+"`main`"+`. There is no release for each minor version, as the stock autoscaler has them: one
program serves all. This page is made by `+"`make docs`"+` from what the repository pins and tests.

`, f.floor) + document.Table([]string{"Kubernetes", "built in", "as a plugin"}, rows) + fmt.Sprintf(`
*Runs* means the scenarios of `+"`test/scenario/e2e`"+`, on the real programs of the control plane: etcd,
kube-apiserver, kube-scheduler and kube-controller-manager. The nodes are KWOK's, so no kubelet of
any version takes part, and AWS is emulated. *Not run* means that nobody has tried it. The
chart refuses Kubernetes before 1.%[1]d.

## What decides

**Built in.** The program contains the core of %[2]s (commit %[3]s) and simulates
the scheduler of Kubernetes %[4]s. In another minor version it simulates what your scheduler may
do a little differently. The stock autoscaler has the same rule, and recommends the same minor
version. A feature whose API your cluster does not serve is switched off, and the log says so once.

**As a plugin.** Your core decides, and only two protocols have to match. Take the core that your
platform ships. `+"`make test`"+` runs the plugin with the core above. [The canary](core.md#the-canary)
runs it with the newest one, and has last done so with that of %[5]s (commit
%[6]s), which is for Kubernetes %[7]s. Cores before 1.35 may know older fields of the
protocols alone. The plugin writes and reads these, too. Tests check their bytes, without such a core.

**Flags.** Those of stock from 1.30 to 1.37 are accepted, see [Flags](flags.md).
[Nominations](nominations.md) say what Kubernetes 1.32 to 1.36 make of them.
`, f.floor, f.coreDay, f.coreCommit, f.built, f.canaryDay, f.canaryCommit, f.canaryVersion)
}

func minorOfBuilt(version string) int {
	minor, _ := strconv.Atoi(strings.Split(version, ".")[1])
	return minor
}

// builtIn says how the built-in form is tested in a minor version.
func (f facts) builtIn(minor, own int) string {
	count := len(f.scenarios[minor])
	switch {
	case minor == own && count > 1:
		return fmt.Sprintf("runs: %d scenarios, and nearly all other tests with a control plane", count)
	case count == 1:
		return fmt.Sprintf("runs: the scenario `%s`, on an API server of 1.%d that emulates it", f.scenarios[minor][0], own)
	case count > 1:
		return fmt.Sprintf("runs: %d scenarios, on an API server of 1.%d that emulates it", count, own)
	}
	return "not run"
}

// asPlugin says how the plugin is tested in a minor version, or with the core of it.
func (f facts) asPlugin(minor, own int) string {
	switch minor {
	case own:
		return fmt.Sprintf("runs: %d scenarios, with the core that is built in", len(f.plugin))
	case minorOfBuilt(f.canaryVersion):
		return fmt.Sprintf("its core runs, in a cluster of 1.%d: the canary of %s", own, f.canaryDay)
	}
	return "not run"
}
