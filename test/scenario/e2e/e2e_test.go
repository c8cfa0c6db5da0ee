package e2e

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
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
	ctx := warned(t)
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

// warned returns a context that ends by the warning before go test's limit.
func warned(t *testing.T) context.Context {
	deadline, limited := t.Deadline()
	if !limited {
		return t.Context()
	}
	ctx, cancel := context.WithDeadlineCause(t.Context(), deadline.Add(-warning), errors.New("the time for all scripts is nearly over"))
	t.Cleanup(cancel)
	return ctx
}
