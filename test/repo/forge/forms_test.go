package forge

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func read(t *testing.T, path string, into any) string {
	text, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(t, err)
	if into != nil {
		require.NoErrorf(t, yaml.Unmarshal(text, into), "%s", path)
	}
	return string(text)
}

func TestFormForFaultsAsksForTheDoctor(t *testing.T) {
	assert.Contains(t, read(t, ".github/ISSUE_TEMPLATE/wrong.yml", nil), "asgctl doctor -o json")
}

// A module without updates grows old unseen, and the core's module moves by hand alone.
func TestUpdatesReachEveryModule(t *testing.T) {
	var config struct {
		Updates []struct {
			Ecosystem   string `yaml:"package-ecosystem"`
			Directories []string
			Groups      map[string]struct{ Patterns []string }
			Ignore      []struct {
				Name  string   `yaml:"dependency-name"`
				Types []string `yaml:"update-types"`
			}
		}
	}
	read(t, ".github/dependabot.yml", &config)
	var updated []string
	for _, u := range config.Updates {
		if u.Ecosystem != "gomod" {
			continue
		}
		updated = append(updated, u.Directories...)
		if !slices.Contains(u.Directories, "/") {
			continue
		}
		assert.Truef(t, slices.Equal(u.Groups["kubernetes"].Patterns, []string{"k8s.io/*", "sigs.k8s.io/*"}) && slices.Equal(u.Groups["aws"].Patterns, []string{"github.com/aws/*"}),
			"groups %v, want one for Kubernetes and one for the SDK", u.Groups)
		core := false
		for _, ignored := range u.Ignore {
			core = core || ignored.Name == "k8s.io/autoscaler/*" && len(ignored.Types) == 0
		}
		assert.True(t, core, "the core's pin is not left alone")
	}
	var modules []string
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "testdata" || path == filepath.Join(root, "bin")) {
			return filepath.SkipDir
		}
		if entry.Name() == "go.mod" {
			dir, err := filepath.Rel(root, filepath.Dir(path))
			modules = append(modules, strings.TrimSuffix("/"+filepath.ToSlash(dir), "."))
			return err
		}
		return nil
	})
	require.NoError(t, err)
	slices.Sort(updated)
	slices.Sort(modules)
	assert.Truef(t, slices.Equal(updated, modules), "modules with updates %q, want %q", updated, modules)
}

var ownFile = regexp.MustCompile(`https://(?:github\.com/asg-autoscaler/asg-autoscaler/blob|raw\.githubusercontent\.com/asg-autoscaler/asg-autoscaler)/main/([\w./-]*\w)`)

// The forge and other sites read these files outside the repository, so their links are whole addresses.
func TestAddressesOfOurFilesExist(t *testing.T) {
	found := 0
	for _, path := range []string{"SECURITY-INSIGHTS.yml", "manifests/chart/Chart.yaml", "manifests/krew/asg.yaml", "docs/openvex.json",
		".github/ISSUE_TEMPLATE/config.yml", ".github/ISSUE_TEMPLATE/wrong.yml", ".github/ISSUE_TEMPLATE/wish.yml"} {
		for _, match := range ownFile.FindAllStringSubmatch(read(t, path, nil), -1) {
			found++
			_, err := os.Stat(filepath.Join(root, match[1]))
			assert.NoErrorf(t, err, "%s: there is no %s", path, match[1])
		}
	}
	assert.Truef(t, found >= 15, "found %d addresses: they are written in another way now", found)
}

// The schema is https://github.com/ossf/security-insights, version 2.2.0. These are the fields that it requires.
func TestSecurityInsights(t *testing.T) {
	var insights map[string]any
	read(t, "SECURITY-INSIGHTS.yml", &insights)
	for _, key := range []string{
		"header.schema-version", "header.last-updated", "header.last-reviewed", "header.url", "project.name", "project.administrators", "project.repositories",
		"project.vulnerability-reporting.reports-accepted", "project.vulnerability-reporting.bug-bounty-available", "repository.url", "repository.status",
		"repository.accepts-change-request", "repository.accepts-automated-change-request", "repository.core-team", "repository.license.url",
		"repository.license.expression", "repository.security.assessments.self.comment", "repository.release.automated-pipeline", "repository.release.distribution-points",
	} {
		var value any = insights
		for part := range strings.SplitSeq(key, ".") {
			fields, _ := value.(map[string]any)
			value = fields[part]
		}
		assert.NotNilf(t, value, "%s is missing", key)
	}
}
