package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFuzzTargetsAreFound(t *testing.T) {
	targets, err := findTargets(t.Context(), "../../..", "./...")
	require.NoError(t, err)
	// Another way to find them: the text of all test files.
	want := 0
	for _, root := range []string{"cloudprovider", "cmd", "expander", "manifests", "pricing", "test"} {
		err := filepath.WalkDir(filepath.Join("../../..", root), func(path string, _ os.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			want += strings.Count(string(text), "\nfunc Fuzz")
			return err
		})
		require.NoError(t, err)
	}
	assert.Truef(t, len(targets) == want && want != 0, "found %d targets, want %d: %v", len(targets), want, targets)
}

func TestFailingTargetFailsTheRun(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module broken\n",
		"broken_test.go": `package broken
import "testing"
` + "func FuzzGood(f *testing.F) { f.Add(1); f.Fuzz(func(*testing.T, int) {}) }\n" +
			"func FuzzBad(f *testing.F) { f.Add(1); f.Fuzz(func(t *testing.T, _ int) { t.Fatal() }) }\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	err := run(t.Context(), dir, "./...", time.Second)
	assert.Truef(t, err != nil && err.Error() == "1 of 2 targets failed", "run = %v, want one of two targets failed", err)
}

func TestOnlyTheEndOfTheTimeIsForgiven(t *testing.T) {
	const fuzzing = "fuzz: elapsed: 0s, gathering baseline coverage: 1/1 completed, now fuzzing with 2 workers\n"
	for _, tt := range []struct {
		name, output string
		failed       error // of go test
		want         bool  // a failure
	}{
		{name: "no failing input", output: fuzzing + "PASS\n"},
		{name: "end of the time", output: fuzzing + "--- FAIL: FuzzX (10.1s)\n    context deadline exceeded\nFAIL\n", failed: os.ErrInvalid},
		{name: "failing input", output: fuzzing + "--- FAIL: FuzzX (1s)\n    context deadline exceeded\n    \n    Failing input written to testdata/fuzz/FuzzX/1\n",
			failed: os.ErrInvalid, want: true},
		{name: "failing seed", output: "failure while testing seed corpus entry: FuzzX/seed#0\n    context deadline exceeded\n", failed: os.ErrInvalid, want: true},
		{name: "no build", output: "x.go:1: syntax error\n", failed: os.ErrInvalid, want: true},
		{name: "end of the time, no input tried", output: "--- FAIL: FuzzX (10.1s)\n    context deadline exceeded\nFAIL\n", failed: os.ErrInvalid, want: true},
		{name: "no input tried", output: "fuzz: elapsed: 10s, gathering baseline coverage: 3/9 completed\nPASS\n", want: true},
	} {
		err := judge(tt.failed, tt.output)
		assert.Equalf(t, tt.want, err != nil, "%s: judge = %v, want a failure: %v", tt.name, err, tt.want)
	}
}
