package zonal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	lab "github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

// flags of both autoscalers, beside the manifest's.
var flags = []string{"--scan-interval=1s", "--scale-down-unneeded-time=10m"}

const startLimit = 2 * time.Minute

// A contestant is one of the autoscalers.
type contestant struct {
	name  string
	flags []string
}

// A run is one contestant in one cell.
type run struct {
	cell       cell
	contestant contestant
	binary     string // our autoscaler
	env        *lab.Env
	side       *lab.Env // of the autoscaler
	pods       *harness.Record
	start      time.Time
	from       time.Time // when the measured workload was there

	progress io.Writer
	mu       *sync.Mutex // one line of progress at a time, shared by all runs
}

// measure runs the contestant through the cell in a new cluster, with its logs in dir.
func (r *run) measure(ctx context.Context, o options, dir string) (_ result, err error) {
	r.start = time.Now()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return result{}, err
	}
	r.env, err = lab.Start(ctx, lab.Options{Dir: dir, Binary: r.binary})
	if err != nil {
		return result{}, err
	}
	defer func() { err = errors.Join(err, harness.End(r.env)) }()
	if err := r.prepare(ctx); err != nil {
		return result{}, err
	}
	r.start = time.Now()
	if r.pods, err = harness.RecordPods(ctx, r.env.Cluster.Client()); err != nil {
		return result{}, err
	}
	defer r.pods.Close()
	r.env.Timeline.Listen(r.follow)
	if err := r.cell.do(ctx, r, o); err != nil {
		return result{}, err
	}
	r.tell("done")
	return r.record().count(r.result(), r.from, r.cell.pods), nil
}

// prepare starts the account, waits for the system nodes, and starts the autoscaler.
func (r *run) prepare(ctx context.Context) error {
	account, err := fakeaws.ParseConfig(accountYAML)
	if err != nil {
		return err
	}
	r.cell.adapt(&account)
	if err := r.env.StartAWS(ctx, account); err != nil {
		return err
	}
	limit, cancel := context.WithTimeoutCause(ctx, startLimit, errors.New("the system nodes are not Ready"))
	defer cancel()
	if err := until(limit, func() (bool, error) {
		return lab.Count(r.env.Timeline.Since(r.start), lab.NodeReady) >= systemNodes, nil
	}); err != nil {
		return err
	}
	if r.side = r.env; r.contestant.name == stock {
		if r.side, err = r.env.StartStock(ctx); err != nil {
			return err
		}
	}
	return r.side.StartAutoscaler(ctx, harness.Manifest, slices.Concat(flags, r.contestant.flags)...)
}

func (r *run) apply(ctx context.Context, manifests string) error {
	_, err := r.env.Cluster.RunKubectl(ctx, manifests, "apply", "-f", "-")
	return err
}

// patiently waits until something is so. If it is not within the limit, that is a finding and no error.
func (r *run) patiently(ctx context.Context, limit time.Duration, so func() bool) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_ = until(limited, func() (bool, error) { return so(), nil })
	return context.Cause(ctx)
}

func until(ctx context.Context, so func() (bool, error)) error {
	return harness.Until(ctx, time.Second/4, so)
}

// follow prints events of instances and pods.
func (r *run) follow(m lab.Moment) {
	switch m.Kind {
	case lab.DesiredRaised, lab.DesiredLowered, lab.LaunchFailed, lab.InstanceLaunched, lab.InstanceTerminated, lab.KilledUndrained, lab.PodRunning:
		r.tell("%s: %s %s", m.Kind, m.Object, m.Detail)
	}
}

func (r *run) tell(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.progress, "%s %-5s %6.1f s  %s\n", r.cell.label(), r.contestant.name, time.Since(r.start).Seconds(), fmt.Sprintf(format, args...))
}

// logs is the run's own folder below dir.
func (r *run) logs(dir string) string {
	return filepath.Join(dir, strings.NewReplacer(" ", "-", "|", "-", ",", "").Replace(r.cell.label())+"-"+r.contestant.name)
}
