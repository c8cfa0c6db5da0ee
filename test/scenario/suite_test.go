package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/kubernetes/fake"
)

// recordingT is a test that may fail. It keeps a script's messages.
type recordingT struct {
	*testing.T
	failed bool
	text   strings.Builder
}

func (r *recordingT) Error(args ...any) { r.failed = true; fmt.Fprintln(&r.text, args...) }
func (r *recordingT) Log(args ...any)   { fmt.Fprintln(&r.text, args...) }
func (r *recordingT) Fatal(args ...any) { r.Error(args...); runtime.Goexit() }
func (r *recordingT) FailNow()          { r.failed = true; runtime.Goexit() }
func (r *recordingT) Failed() bool      { return r.failed }
func (r *recordingT) Parallel()         {}
func (r *recordingT) Verbose() bool     { return false }

func (r *recordingT) Run(_ string, f func(testscript.T)) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f(r)
	}()
	<-ended
}

func TestScriptFailsInStepOrAtEnd(t *testing.T) {
	const start = "autoscaler start s0-gpu-spot-china "
	for _, tt := range []struct {
		name, script, want string // want is empty for a script that passes
	}{
		{name: "all holds", script: start + "\nexpect 10s desired g 0\nnever desired g above 0"},
		{name: "expectation", script: "expect 50ms desired g 1", want: "waited 50ms for desired g 1; saw 0 last"},
		{name: "prohibition", script: "never desired h above 0", want: `no auto scaling group "h"`},
		{name: "expected failure", script: "! expect 50ms desired g 1"},
		{name: "expected failure that succeeds", script: "! expect 10s desired g 0", want: "expect succeeded against expectation"},
		{name: "end", script: start + "--code=3", want: "at the end of the script: autoscaler did not end cleanly on SIGTERM: exit status 3"},
		{name: "end of a script that stops early", script: start + "--code=3\nstop", want: "did not end cleanly"},
		{name: "end after a failure is not judged", script: start + "--code=3\nexpect 50ms desired g 1", want: "saw 0 last"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "script.txtar")
			require.NoError(t, os.WriteFile(file, []byte(tt.script+"\n"), 0o600))
			s := endScript(t)
			s.client = fake.NewClientset()
			r := &recordingT{T: t}
			testscript.RunT(r, testscript.Params{Files: []string{file}, Cmds: Commands(), Setup: func(env *testscript.Env) error {
				attach(env, s, func() {})
				return nil
			}})
			assert.Truef(t, r.failed == (tt.want != "") && strings.Contains(r.text.String(), tt.want),
				"failed %t, want %q in:\n%s", r.failed, tt.want, r.text.String())
		})
	}
}
