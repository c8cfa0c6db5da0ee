package forge

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fuzz runs fuzz.sh in a directory. A text stands in for what the go command prints for a target.
func fuzz(t *testing.T, dir, text, exit string, args ...string) (string, error) {
	t.Helper()
	script, err := filepath.Abs("../tools/fuzz.sh")
	require.NoError(t, err)
	cmd := exec.Command(script, args...)
	cmd.Dir, cmd.Env = dir, os.Environ()
	if text != "" {
		command, err := exec.LookPath("go")
		require.NoError(t, err)
		bin := t.TempDir()
		stub := "#!/bin/sh\n[ $1 = test ] || exec " + command + " \"$@\"\nprintf '%s' '" + text + "'\nexit " + exit + "\n"
		require.NoError(t, os.WriteFile(filepath.Join(bin, "go"), []byte(stub), 0o755))
		cmd.Env = append(cmd.Env, "PATH="+bin+":"+os.Getenv("PATH"))
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

const fuzzing = "fuzz: elapsed: 0s, gathering baseline coverage: 1/1 completed, now fuzzing with 1 workers\n"

func TestFuzzTargetsAreFound(t *testing.T) {
	out, err := fuzz(t, root, fuzzing, "0", "1s")
	require.NoErrorf(t, err, "%s", out)
	// Another way to find them: the text of all test files.
	want := 0
	for _, part := range []string{"cloudprovider", "cmd", "expander", "manifests", "pricing", "test"} {
		require.NoError(t, filepath.WalkDir(filepath.Join(root, part), func(path string, _ os.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			want += strings.Count(string(text), "\nfunc Fuzz")
			return err
		}))
	}
	found := strings.Count("\n"+out, "\nok github.com/")
	assert.Truef(t, found == want && want != 0, "found %d targets, want %d:\n%s", found, want, out)
}

func TestFailingTargetFailsTheRunOfAll(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module broken\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "broken_test.go"), []byte("package broken\nimport \"testing\"\n"+
		"func FuzzBad(f *testing.F) { f.Add(1); f.Fuzz(func(t *testing.T, _ int) { t.Fatal() }) }\n"+
		"func FuzzGood(f *testing.F) { f.Add(1); f.Fuzz(func(*testing.T, int) {}) }\n"), 0o600))
	for _, build := range []string{"", "-race -ldflags=-w"} {
		t.Setenv("FUZZBUILD", build)
		out, err := fuzz(t, dir, "", "", "1s")
		assert.Errorf(t, err, "%s", out)
		assert.Contains(t, out, "\nfailed broken.FuzzBad ")
		assert.Contains(t, out, "\nok broken.FuzzGood ")
		assert.Truef(t, strings.HasSuffix(out, "\n1 of 2 targets failed\n"), "%s", out)
	}
}

func TestOnlyTheEndOfTheTimeIsForgiven(t *testing.T) {
	for _, tt := range []struct {
		name, output, exit string // of go test
		want               bool   // a failure
	}{
		{name: "no failing input", output: fuzzing + "PASS\n", exit: "0"},
		{name: "end of the time", output: fuzzing + "--- FAIL: FuzzX (10.1s)\n    context deadline exceeded\nFAIL\n", exit: "1"},
		{name: "failing input", output: fuzzing + "--- FAIL: FuzzX (1s)\n    context deadline exceeded\n    \n    Failing input written to testdata/fuzz/FuzzX/1\n",
			exit: "1", want: true},
		{name: "failing seed", output: "failure while testing seed corpus entry: FuzzX/seed#0\n    context deadline exceeded\n", exit: "1", want: true},
		{name: "no build", output: "x.go:1: syntax error\n", exit: "1", want: true},
		{name: "end of the time, no input tried", output: "--- FAIL: FuzzX (10.1s)\n    context deadline exceeded\nFAIL\n", exit: "1", want: true},
		{name: "no input tried", output: "fuzz: elapsed: 10s, gathering baseline coverage: 3/9 completed\nPASS\n", exit: "0", want: true},
	} {
		out, err := fuzz(t, ".", tt.output, tt.exit, "1s", "p", "FuzzX")
		assert.Equalf(t, tt.want, err != nil, "%s: %v, want a failure: %v\n%s", tt.name, err, tt.want, out)
	}
}
