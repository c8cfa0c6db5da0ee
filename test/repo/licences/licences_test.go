package licences

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite docs/licences.md")

const head = `# Licences

The binaries contain these modules. ` + "`make licences`" + ` writes this table from the licence files of the modules. ` + "`make test`" + ` fails if it is out of
date, or if a module has no licence of the permitted ones: Apache-2.0, BSD-2-Clause, BSD-3-Clause, ISC, MIT and MPL-2.0. The image holds the
texts in ` + "`/licenses`" + `.

| module | version | licences |
|---|---|---|
`

func TestLicencesDocument(t *testing.T) {
	const document = "../../../docs/licences.md"
	want := head + list(t)
	if *update {
		require.NoError(t, os.WriteFile(document, []byte(want), 0o644))
	}
	got, err := os.ReadFile(document)
	require.NoError(t, err)
	// go test remembers which files a test looked at, and does not see what the program reads.
	require.NoError(t, scenario.LookAtSources("../../.."))
	assert.Equalf(t, want, string(got), "%s is out of date: run make licences", document)
}

func TestModuleWithoutPermittedLicenceIsNamed(t *testing.T) {
	for _, tt := range []struct{ name, file, text, want string }{
		{"no file", "README", "no licence", "has no licence file"},
		{"unknown terms", "LICENSE", "All rights reserved. Ask us.", "not recognised"},
		{"not permitted", "COPYING", agpl(t), "AGPL-3.0, which is not permitted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			for name, text := range map[string]string{
				"go.mod":         "module product\nrequire example.com/dep v1.0.0\nreplace example.com/dep => ./dep\n",
				"cmd/x/main.go":  "package main\nimport _ \"example.com/dep\"\nfunc main() {}\n",
				"dep/go.mod":     "module example.com/dep\n",
				"dep/dep.go":     "package dep\n",
				"dep/" + tt.file: tt.text,
			} {
				path := filepath.Join(root, name)
				require.NoError(t, errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)))
			}
			out, err := exec.Command(program, "-root="+root).CombinedOutput()
			assert.Truef(t, err != nil && strings.Contains(string(out), "example.com/dep") && strings.Contains(string(out), tt.want),
				"%v, want an error with %q:\n%s", err, tt.want, out)
		})
	}
}

// agpl is the text of a licence that is not permitted, as the classifier's module has it.
func agpl(t *testing.T) string {
	dir, err := exec.Command("go", "-C", "../tools", "list", "-m", "-f", "{{.Dir}}", "github.com/google/licenseclassifier/v2").Output()
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "assets", "License", "AGPL-3.0", "license.txt"))
	require.NoError(t, err)
	return string(text)
}

// program is the built program licences.
var program string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "licences")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "licences")
		if out, err := exec.Command("go", "-C", "../tools", "build", "-o", program, "./licences").CombinedOutput(); err != nil {
			panic(string(out))
		}
		return m.Run()
	}())
}

// list is the output of program licences about the product.
func list(t *testing.T, args ...string) string {
	command := exec.Command(program, append([]string{"-root=../../.."}, args...)...)
	command.Stderr = os.Stderr
	out, err := command.Output()
	require.NoError(t, err, "licences")
	return string(out)
}
