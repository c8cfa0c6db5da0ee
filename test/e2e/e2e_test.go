// Package e2e holds the scenarios that must work, as scripts under testdata, and runs them with the real autoscaler
// against an emulated AWS account and a real control plane.
//
// A script is read from top to bottom: the account, the autoscaler as a shipped manifest runs it, workloads that come
// and go, and after each what is expected and within which time. test/scenario documents the commands. Run one by its
// name, and rewrite golden parts with -update:
//
//	make e2e RUN=s0
package e2e

import (
	"flag"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

var update = flag.Bool("update", false, "rewrite the golden parts of the scripts")

func TestScenarios(t *testing.T) {
	if testing.Short() {
		t.Skip("runs whole control planes for minutes")
	}
	if err := scenario.LookAtSources(filepath.Join("..", "..")); err != nil {
		t.Fatal(err)
	}
	binary, err := scenario.BuildAutoscaler(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		Cmds:          scenario.Commands(),
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			return scenario.Setup(t.Context(), env, binary)
		},
	})
}
