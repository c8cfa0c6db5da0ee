package release

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const root = "../../.."

// A section is one version in CHANGELOG.md.
type section struct {
	version, day string
	changes      []change
}

// A change has the fields of Artifact Hub's annotation.
type change struct{ Kind, Description string }

var (
	sectionLine = regexp.MustCompile(`^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2}|Unreleased)$`)
	// Keep a Changelog has these headings, and Artifact Hub these kinds.
	kinds = []string{"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
)

// changelog returns the sections, newest first.
func changelog(t *testing.T) []section {
	text, err := os.ReadFile(filepath.Join(root, "CHANGELOG.md"))
	require.NoError(t, err)
	var (
		sections []section
		kind     string
	)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "## ") {
			found := sectionLine.FindStringSubmatch(line)
			require.NotNilf(t, found, "%q, want ## [VERSION] - DAY", line)
			sections = append(sections, section{version: found[1], day: found[2]})
			continue
		}
		if len(sections) == 0 {
			continue
		}
		newest := &sections[len(sections)-1]
		switch {
		case strings.HasPrefix(line, "### "):
			kind = strings.TrimPrefix(line, "### ")
			require.Truef(t, slices.Contains(kinds, kind), "%q is no heading of Keep a Changelog: %q", line, kinds)
		case strings.HasPrefix(line, "- "):
			newest.changes = append(newest.changes, change{strings.ToLower(kind), strings.TrimPrefix(line, "- ")})
		case strings.HasPrefix(line, "  "):
			last := &newest.changes[len(newest.changes)-1]
			last.Description += " " + strings.TrimSpace(line)
		}
	}
	require.True(t, len(sections) != 0, "CHANGELOG.md has no section")
	return sections
}

func TestChartHasTheNewestChanges(t *testing.T) {
	newest := changelog(t)[0]
	text, err := os.ReadFile(filepath.Join(root, "manifests", "chart", "Chart.yaml"))
	require.NoError(t, err)
	var chart struct {
		Version     string
		AppVersion  string `yaml:"appVersion"`
		Annotations map[string]string
	}
	require.NoError(t, yaml.Unmarshal(text, &chart))
	assert.Truef(t, chart.Version == newest.version && chart.AppVersion == newest.version,
		"the chart has version %s and appVersion %s, and CHANGELOG.md begins with %s", chart.Version, chart.AppVersion, newest.version)
	var changes []change
	require.NoError(t, yaml.Unmarshal([]byte(chart.Annotations["artifacthub.io/changes"]), &changes))
	if !slices.Equal(changes, newest.changes) {
		want, err := yaml.Marshal(newest.changes)
		require.NoError(t, err)
		t.Errorf("artifacthub.io/changes has %d changes, want those of CHANGELOG.md:\n%s", len(changes), want)
	}
	definitions, err := os.ReadFile(filepath.Join(root, "manifests", "crds", "Chart.yaml"))
	if want := "\nversion: " + newest.version + "\nappVersion: " + newest.version + "\n"; err != nil || !strings.Contains(string(definitions), want) {
		t.Errorf("the chart of the definitions lacks %q: %v", want, err)
	}
}

func TestOnlyTheNewestSectionIsUnreleased(t *testing.T) {
	for i, s := range changelog(t) {
		assert.Truef(t, i <= 0 || s.day != "Unreleased", "%s is unreleased below a newer version", s.version)
		assert.Truef(t, len(s.changes) != 0, "%s has no changes", s.version)
	}
}

// A maintainer who follows RELEASE.md is stopped at each step that is left out, and may then push the tag to a remote.
func TestCheckFollowsTheSteps(t *testing.T) {
	dir, remote := filepath.Join(t.TempDir(), "clone"), filepath.Join(t.TempDir(), "remote.git")
	for _, path := range []string{"build/release.sh", "Makefile", "CHANGELOG.md", "manifests/chart/Chart.yaml", "manifests/crds/Chart.yaml"} {
		text, err := os.ReadFile(filepath.Join(root, path))
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, path), text, 0o755))
	}
	run := func(name string, args ...string) (string, error) {
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "MAKEFLAGS=", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_AUTHOR_NAME=m", "GIT_AUTHOR_EMAIL=m@example.com",
			"GIT_COMMITTER_NAME=m", "GIT_COMMITTER_EMAIL=m@example.com")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	git := func(args ...string) {
		t.Helper()
		out, err := run("git", args...)
		require.NoErrorf(t, err, "git %s\n%s", args, out)
	}
	replace := func(path, pattern, by string) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, path))
		require.NoError(t, err)
		replaced := regexp.MustCompile(pattern).ReplaceAll(text, []byte(by))
		require.NoError(t, os.WriteFile(filepath.Join(dir, path), replaced, 0o755))
	}
	refuses := func(version, want string) {
		t.Helper()
		out, err := run("make", "release-check", "VERSION="+version)
		assert.Truef(t, err != nil && strings.Contains(out, want), "make release-check VERSION=%s: %v, want %q\n%s", version, err, want, out)
	}

	git("init", "--quiet", "--initial-branch=main")
	git("init", "--quiet", "--bare", remote)
	git("remote", "add", "origin", remote)
	git("add", ".")
	git("commit", "--quiet", "--message=sources")
	refuses("v9.9.0", "want 9.9.0")
	replace("CHANGELOG.md", `(?m)^## \[.*$`, "## [9.9.0] - Unreleased")
	refuses("v9.9.0", "uncommitted changes")
	git("commit", "--quiet", "--all", "--message=changes")
	refuses("v9.9.0", "no day")
	for _, chart := range []string{"manifests/chart/Chart.yaml", "manifests/crds/Chart.yaml"} {
		refuses("v9.9.0-rc.1", chart+" is not 9.9.0")
		replace(chart, `(?m)^(version|appVersion): .*$`, "$1: 9.9.0")
		git("commit", "--quiet", "--all", "--message=versions")
	}
	replace("CHANGELOG.md", `Unreleased`, "2026-12-01")
	git("commit", "--quiet", "--all", "--message=9.9.0")
	for _, version := range []string{"v9.9.0", "v9.9.0-rc.1"} {
		if out, err := run("make", "release-check", "VERSION="+version); err != nil || !strings.Contains(out, version+" may be released") {
			t.Errorf("make release-check VERSION=%s: %v\n%s", version, err, out)
		}
	}
	git("tag", "--message=v9.9.0", "v9.9.0")
	git("push", "--quiet", "origin", "main", "v9.9.0")
}
