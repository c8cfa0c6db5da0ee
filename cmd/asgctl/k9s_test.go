package main

import (
	"bytes"
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

// plugin has the fields that the shipped file uses of a plugin of k9s (derailed/k9s, internal/config/plugin.go and its JSON schema
// plugins.json at 24cf462). Short cut, description, scopes and command are required.
type plugin struct {
	ShortCut    string   `yaml:"shortCut"`
	Description string   `yaml:"description"`
	Scopes      []string `yaml:"scopes"`
	Command     string   `yaml:"command"`
	Args        []string `yaml:"args"`
	Background  bool     `yaml:"background"`
}

// substitutes is what k9s replaces in an argument (derailed/k9s, internal/view/env.go at 24cf462). It leaves unknown names alone.
var substitutes = regexp.MustCompile(`(\$(!?)([\w\-]+))|(\$\{(!?)([\w\-%/: ]+)})`)

// hostile is a context's name, which may hold anything.
const hostile = `a "b" $(touch evil) ; c`

func plugins(t *testing.T) map[string]plugin {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "manifests", "k9s", "plugins.yaml"))
	require.NoError(t, err)
	var file struct {
		Plugins map[string]plugin `yaml:"plugins"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(&file))
	return file.Plugins
}

// Who installs the plugin of kubectl learns which commands change something.
func TestKrewNamesTheCommandsThatChange(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "manifests", "krew", "asg.yaml"))
	require.NoError(t, err)
	for _, command := range []string{"account --launch", "remove", "moves resume"} { // as asgctl --help has them
		assert.Contains(t, string(text), `"kubectl asg `+command)
	}
}

func TestK9sPlugins(t *testing.T) {
	shortCut := regexp.MustCompile(`^(Shift|Ctrl)-[A-Z]$`)
	taken := map[string]string{}
	usages := map[string]string{}
	for name, p := range plugins(t) {
		assert.Truef(t, p.Description != "" && p.Command == "sh" && len(p.Scopes) != 0 && shortCut.MatchString(p.ShortCut),
			"%s lacks what k9s requires: %+v", name, p)
		for _, scope := range p.Scopes {
			assert.Equalf(t, "", taken[scope+p.ShortCut], "the view that has the key of %s already in %s", name, scope)
			taken[scope+p.ShortCut] = name
		}
		usages[name] = usage(t, p)
	}
	want := map[string]string{
		"asgctl-explain-pod": "asgctl explain KIND/NAME", "asgctl-explain-deployment": "asgctl explain KIND/NAME",
		"asgctl-explain-node": "asgctl explain KIND/NAME", "asgctl-top": "asgctl top",
	}
	for name, command := range want {
		assert.Truef(t, strings.HasPrefix(usages[name], command+" "), "%s runs %q, want %s", name, usages[name], command)
	}
	assert.Len(t, usages, len(want), "plugins")
}

// usage runs a plugin as k9s does, with --help behind its arguments, which are parsed nevertheless. It returns the usage of the
// command that the arguments reach.
func usage(t *testing.T, p plugin) string {
	t.Helper()
	env := map[string]string{"KUBECONFIG": "kube config", "CONTEXT": hostile, "NAMESPACE": "web", "NAME": "api"}
	args := slices.Clone(p.Args)
	for i := range args {
		args[i] = substitutes.ReplaceAllStringFunc(args[i], func(word string) string {
			if value, known := env[strings.Trim(word, "${}")]; known {
				return value
			}
			return word
		})
	}
	cmd := exec.Command(p.Command, append(args, "--help")...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "PAGER=cat")
	out, err := cmd.CombinedOutput()
	assert.NoErrorf(t, err, "%v\n%s", cmd.Args, out)
	left, _ := filepath.Glob(filepath.Join(cmd.Dir, "*"))
	assert.Emptyf(t, left, "%v leaves", cmd.Args)
	_, usage, _ := strings.Cut(string(out), "Usage:\n  ")
	usage, _, _ = strings.Cut(usage, "\n")
	return usage
}
