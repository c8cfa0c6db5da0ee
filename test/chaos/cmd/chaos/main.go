// Command chaos runs seeded plans of faults, see package chaos, prints a table and writes a summary as JSON. It exits with 3
// when a run failed, and with 1 when it could not go on.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/asg-autoscaler/asg-autoscaler/test/chaos"
	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

// options are the flags.
type options struct {
	seed, first uint64
	seeds       int
	workers     int
	zonal       bool
	modes       []string
	planOnly    bool
	keep        bool
	binary      string
	out         string
}

func parse() options {
	var o options
	flag.Uint64Var(&o.seed, "seed", 0, "run this seed alone; 0 runs many")
	flag.Uint64Var(&o.first, "first", 1, "first of the seeds")
	flag.IntVar(&o.seeds, "seeds", 200, "how many seeds")
	flag.IntVar(&o.workers, "workers", 1, "control planes side by side; each takes a core or two")
	modes := flag.String("modes", "", "launch modes, which take turns from seed to seed; a seed replays with the same list (default "+
		strings.Join(chaos.Modes, ",")+", with -zonal "+strings.Join(chaos.ZonalModes, ",")+")")
	flag.BoolVar(&o.zonal, "zonal", false, "scale groups of several zones zone by zone, with pods that need a zone and more faults; such plans are others than without")
	flag.BoolVar(&o.planOnly, "plan", false, "print the plans and run nothing")
	flag.BoolVar(&o.keep, "keep", false, "keep what runs that did not fail leave behind, too")
	flag.StringVar(&o.binary, "binary", "", "autoscaler to run; built from this module if empty")
	flag.StringVar(&o.out, "out", filepath.Join("bin", "chaos"), "folder for the summary, and for what failed runs leave behind")
	flag.Parse()
	switch {
	case *modes != "":
		o.modes = strings.Split(*modes, ",")
	case o.zonal:
		o.modes = chaos.ZonalModes
	default:
		o.modes = chaos.Modes
	}
	if o.seed != 0 {
		o.first, o.seeds = o.seed, 1
	}
	return o
}

// plan is that of a seed.
func (o options) plan(seed uint64) chaos.Plan {
	if o.zonal {
		return chaos.NewZonalPlan(seed, o.modes)
	}
	return chaos.NewPlan(seed, o.modes)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	failed, err := run(ctx, parse())
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	case failed:
		os.Exit(3)
	}
}

func run(ctx context.Context, o options) (failed bool, err error) {
	if o.planOnly {
		for n := range o.seeds {
			fmt.Println(o.plan(o.first + uint64(n)))
		}
		return false, nil
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return false, err
	}
	if o.binary == "" {
		if o.binary, err = scenario.BuildAutoscaler(ctx, o.out); err != nil {
			return false, err
		}
	}
	if o.binary, err = filepath.Abs(o.binary); err != nil {
		return false, err
	}
	if o.seed != 0 {
		fmt.Println(o.plan(o.seed))
	}
	fmt.Println(chaos.Header)
	results, err := runAll(ctx, o)
	slices.SortFunc(results, func(a, b chaos.Result) int { return int(a.Seed) - int(b.Seed) })
	summary := chaos.Summarize(results)
	summary.Print(os.Stdout)
	raw, marshalErr := json.MarshalIndent(summary, "", "  ")
	path := filepath.Join(o.out, "summary.json")
	err = errors.Join(err, marshalErr, os.WriteFile(path, append(raw, '\n'), 0o644))
	zonal := ""
	if o.zonal {
		zonal = " ZONAL=1"
	}
	for _, seed := range summary.Failed {
		fmt.Printf("seed %d left its plan, events and logs in %s; again: make chaos SEED=%d%s\n", seed, folder(o.out, seed), seed, zonal)
	}
	return len(summary.Failed) > 0, err
}

func folder(out string, seed uint64) string { return filepath.Join(out, fmt.Sprintf("seed-%d", seed)) }

// runAll runs the seeds in as many labs as there are workers.
func runAll(ctx context.Context, o options) ([]chaos.Result, error) {
	seeds := make(chan uint64)
	var mu sync.Mutex
	var results []chaos.Result
	var errs []error
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var workers sync.WaitGroup
	for n := range o.workers {
		workers.Go(func() {
			err := work(ctx, o, filepath.Join(o.out, fmt.Sprintf("lab-%d", n)), seeds, func(r chaos.Result) {
				mu.Lock()
				defer mu.Unlock()
				fmt.Println(r)
				results = append(results, r)
			})
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
				cancel()
			}
		})
	}
	for n := range o.seeds {
		select {
		case seeds <- o.first + uint64(n):
		case <-ctx.Done():
		}
	}
	close(seeds)
	workers.Wait()
	return results, errors.Join(errs...)
}

// work runs seeds in one lab until there are no more. What a run leaves behind is kept if it failed.
func work(ctx context.Context, o options, dir string, seeds <-chan uint64, done func(chaos.Result)) (err error) {
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return err
	}
	lab, err := chaos.NewLab(ctx, chaos.Options{Dir: dir, Binary: o.binary, Progress: os.Stderr})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lab.Close()) }()
	for seed := range seeds {
		left := filepath.Join(dir, fmt.Sprintf("seed-%d", seed))
		result, err := lab.Run(ctx, o.plan(seed))
		if err != nil {
			return err
		}
		if len(result.Violations) > 0 || o.keep {
			kept := folder(o.out, seed)
			err = errors.Join(os.RemoveAll(kept), os.Rename(left, kept))
		} else {
			err = os.RemoveAll(left)
		}
		done(result)
		if err != nil {
			return err
		}
	}
	return nil
}
