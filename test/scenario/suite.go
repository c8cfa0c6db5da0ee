package scenario

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptLimit bounds one script, several times the longest on a busy machine. The step that exceeds it fails by its name, long
// before the limit of the test's package ends all scripts without naming any.
const scriptLimit = 8 * time.Minute

// Suite runs scripts with one build of the autoscaler. Its methods are safe for concurrent use.
type Suite struct {
	Binary string // the autoscaler, see BuildAutoscaler
	Core   string // the unmodified core that asks the plugin, empty for the one that go.mod requires
}

// Setup starts an Env for one script and ends it with the script. It is meant for testscript.Params.Setup. A script that passed fails at
// its end where the autoscaler does not end cleanly, see Commands. If the script fails, it prints the events and the end of the
// autoscaler's log. The script finds the files of Systems in its directory, each system under its name, and the files of manifests/.
func (s *Suite) Setup(ctx context.Context, env *testscript.Env) error {
	if err := copyFiles(env.WorkDir); err != nil {
		return err
	}
	dir := filepath.Join(env.WorkDir, ".env")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	version, err := os.ReadFile(filepath.Join(env.WorkDir, "kubernetes-version"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	e, err := Start(ctx, Options{Dir: dir, Binary: s.Binary, Core: s.Core, KubernetesVersion: strings.TrimSpace(string(version))})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, scriptLimit, fmt.Errorf("the script has taken its limit of %s", scriptLimit))
	attach(env, &script{Env: e, ctx: ctx, allowed: map[string]bool{}}, cancel)
	return nil
}

// attach makes the commands of a testscript work on run, and ends run with the testscript.
func attach(env *testscript.Env, run *script, cancel func()) {
	env.Values[scriptKey{}] = run
	env.Defer(func() {
		defer cancel()
		run.close(env.T())
	})
}

// tested is the part of testscript's T beyond its own methods.
type tested interface {
	Failed() bool
	Skipped() bool
	Error(...any)
}
