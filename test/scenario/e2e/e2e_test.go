package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/stock"
	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

var update = flag.Bool("update", false, "rewrite the golden parts of the scripts")

// definitions are of the core's own resource kinds. A script has them in manifests/crds.
var definitions = os.DirFS(filepath.Join("..", "..", "..", "manifests", "crds", "files"))

func TestScenarios(t *testing.T) {
	if testing.Short() {
		t.Skip("runs whole control planes for minutes")
	}
	require.NoError(t, scenario.LookAtSources(filepath.Join("..", "..", "..")))
	binary, err := scenario.BuildAutoscaler(t.Context(), t.TempDir())
	require.NoError(t, err)
	suite := &scenario.Suite{Binary: binary}
	if version := os.Getenv("CORE_VERSION"); version != "" {
		if suite.Core, err = stock.BuildVersion(t.Context(), os.Stderr, t.TempDir(), version); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { report(t, suite.String()) })
	ctx := warned(t, suite)
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		Cmds:          scenario.Commands(),
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			return errors.Join(suite.Setup(ctx, env), os.CopyFS(filepath.Join(env.WorkDir, "manifests", "crds"), definitions))
		},
	})
}

// warning is how long before go test's own limit the running scripts fail, each by its current step. go test itself would end
// the process and name none.
const warning = time.Minute

// warned returns a context that ends shortly before go test's limit. If a script does not even end then, its step is printed.
func warned(t *testing.T, suite *scenario.Suite) context.Context {
	deadline, limited := t.Deadline()
	if !limited {
		return t.Context()
	}
	ctx, cancel := context.WithDeadlineCause(t.Context(), deadline.Add(-warning), errors.New("the time for all scripts is nearly over"))
	last := time.AfterFunc(time.Until(deadline)-warning/2, func() { fmt.Fprintf(os.Stderr, "Scripts that hang are without an end:\n%s", suite) })
	t.Cleanup(func() { last.Stop(); cancel() })
	return ctx
}

// report prints the table of all scripts with -v or after a failure, and writes it to the file that SCENARIO_TIMES names,
// because go test prints nothing of a package that passed.
func report(t *testing.T, table string) {
	t.Log("\n" + table)
	if path := os.Getenv("SCENARIO_TIMES"); path != "" {
		assert.NoError(t, os.WriteFile(path, []byte(table), 0o644), "write the table of scripts")
	}
}
