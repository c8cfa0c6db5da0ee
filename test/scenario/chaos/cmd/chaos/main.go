package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
	"github.com/asg-autoscaler/asg-autoscaler/test/scenario/chaos"
)

type options struct {
	seed, first                      uint64
	seeds, workers                   int
	zonal, half, moves, resume, keep bool
	soak                             time.Duration
	output, out                      string
}

func parse() options {
	var o options
	flag.Uint64Var(&o.seed, "seed", 0, "run this seed alone; 0 runs many")
	flag.Uint64Var(&o.first, "first", 1, "first of the seeds")
	flag.IntVar(&o.seeds, "seeds", 200, "how many seeds")
	flag.IntVar(&o.workers, "workers", 1, "control planes side by side; each takes a core or two")
	flag.BoolVar(&o.zonal, "zonal", false, "scale groups of several zones zone by zone, with pods that need a zone and more faults; such plans are others than without")
	flag.BoolVar(&o.moves, "moves", false, "have nodes replaced, with faults that make nodes move; such plans are others than without, and never zonal")
	flag.BoolVar(&o.half, "half", false, "every second run is zonal: -seeds 200 runs 100 seeds of each kind")
	flag.BoolVar(&o.resume, "resume", false, "go on where an earlier run with the same -out stopped: its results count, and its seeds are left out")
	flag.BoolVar(&o.keep, "keep", false, "keep what runs without a failure leave behind, too")
	flag.DurationVar(&o.soak, "soak", 0, "run a day of load and faults in this time instead, and judge it. Of the other flags only -seed, -keep, -o and -out count then")
	flag.StringVar(&o.output, "o", "table", "`FORMAT` of the output of -soak: table or json")
	flag.StringVar(&o.out, "out", filepath.Join("bin", "chaos"), "folder for the results, and for what failed runs leave behind")
	flag.Parse()
	if o.soak != 0 && o.soak < time.Minute || o.output != "table" && o.output != "json" || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "chaos: -soak takes 1m or more, -o table or json, and there are no arguments beside the flags")
		os.Exit(2)
	}
	if o.seed != 0 {
		o.first, o.seeds = o.seed, 1
	}
	return o
}

// nth is the plan of the n-th run.
func (o options) nth(n int) chaos.Plan {
	if o.moves {
		return chaos.NewMovingPlan(o.first + uint64(n))
	}
	if o.half {
		return chaos.NewPlan(o.first+uint64(n/2), n%2 == 1)
	}
	return chaos.NewPlan(o.first+uint64(n), o.zonal)
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
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return false, err
	}
	binary, err := scenario.BuildAutoscaler(ctx, o.out)
	if err != nil {
		return false, err
	}
	if binary, err = filepath.Abs(binary); err != nil {
		return false, err
	}
	if o.soak > 0 {
		return soak(ctx, o, binary)
	}
	if o.seed != 0 {
		fmt.Println(o.nth(0))
	}
	record, results, err := openRecord(filepath.Join(o.out, "results.jsonl"), o.resume)
	if err != nil {
		return false, err
	}
	defer record.Close()
	for _, r := range results {
		if r.Moving != o.moves || r.Zonal != o.zonal && !o.half || r.Mode != chaos.NewPlan(r.Seed, r.Zonal).Mode {
			return false, fmt.Errorf("the results in %s are of other plans: give the same flags, or start without -resume", record.Name())
		}
	}
	fmt.Println(chaos.Header)
	more, err := runAll(ctx, o, binary, done(results), record)
	results = append(results, more...)
	slices.SortFunc(results, func(a, b chaos.Result) int {
		return cmp.Or(cmp.Compare(a.Seed, b.Seed), strings.Compare(a.Name(), b.Name()))
	})
	summary := chaos.Summarize(results)
	for _, name := range summary.Failed {
		again, zonal := strings.CutSuffix(name, "z")
		if zonal {
			again += " ZONAL=1"
		}
		again, moves := strings.CutSuffix(again, "m")
		if moves {
			again += " MOVES=1"
		}
		fmt.Printf("run %s left its plan, events and logs in %s; again: make chaos SEED=%s\n", name, folder(o.out, name), again)
	}
	summary.Print(os.Stdout)
	if missing := o.seeds - len(results); missing > 0 {
		fmt.Printf("  runs left out (a lab broke, or the command was stopped)  %d\n", missing)
	}
	return len(summary.Failed)+len(summary.Silent) > 0, err
}

// soak runs the plan of a day. What an earlier soak has left goes.
func soak(ctx context.Context, o options, binary string) (failed bool, err error) {
	plans := make(chan chaos.Plan, 1)
	plan := chaos.NewSoakPlan(cmp.Or(o.seed, 1), o.soak)
	if err := os.RemoveAll(folder(o.out, plan.Name())); err != nil {
		return false, err
	}
	plans <- plan
	close(plans)
	err = workInLab(ctx, o, binary, filepath.Join(o.out, "lab"), plans, func(r chaos.Result) error {
		if failed = len(r.Violations) > 0; failed {
			fmt.Fprintf(os.Stderr, "the soak left its plan, events and logs in %s\n", folder(o.out, r.Name()))
		}
		if o.output == "json" {
			encoder := json.NewEncoder(os.Stdout)
			encoder.SetIndent("", "  ")
			return encoder.Encode(r)
		}
		err := chaos.PrintSamples(os.Stdout, r.Samples)
		fmt.Printf("\n%s\n%s\n", chaos.Header, r)
		return err
	})
	return failed, err
}

func folder(out, name string) string { return filepath.Join(out, "seed-"+name) }

// openRecord opens the file that takes one result a line, and reads its results if the run is to go on.
func openRecord(path string, resume bool) (*os.File, []chaos.Result, error) {
	mode := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if !resume {
		file, err := os.OpenFile(path, mode|os.O_TRUNC, 0o644)
		return file, nil, err
	}
	raw, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, err
	}
	var results []chaos.Result
	for line := range strings.Lines(string(raw)) {
		var r chaos.Result
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			return nil, nil, fmt.Errorf("read %s: %w; start without -resume", path, err)
		}
		results = append(results, r)
	}
	file, err := os.OpenFile(path, mode, 0o644)
	return file, results, err
}

func done(results []chaos.Result) map[string]bool {
	names := map[string]bool{}
	for _, r := range results {
		names[r.Name()] = true
	}
	return names
}

// runAll runs the plans that are not done in as many labs as there are workers, and records each result at once. It goes on as long as a
// worker has a lab.
func runAll(ctx context.Context, o options, binary string, done map[string]bool, record io.Writer) ([]chaos.Result, error) {
	plans := make(chan chaos.Plan)
	var mu sync.Mutex
	var results []chaos.Result
	var errs []error
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var workers sync.WaitGroup
	for n := range o.workers {
		workers.Go(func() {
			err := work(ctx, o, binary, filepath.Join(o.out, fmt.Sprintf("lab-%d", n)), plans, func(r chaos.Result) error {
				mu.Lock()
				defer mu.Unlock()
				fmt.Println(r)
				results = append(results, r)
				return json.NewEncoder(record).Encode(r)
			})
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				if errs = append(errs, err); len(errs) == o.workers {
					cancel()
				}
			}
		})
	}
	for n := range o.seeds {
		plan := o.nth(n)
		if done[plan.Name()] {
			continue
		}
		select {
		case plans <- plan:
		case <-ctx.Done():
		}
	}
	close(plans)
	workers.Wait()
	return results, errors.Join(errs...)
}

// labAttempts bounds how many labs a worker breaks, one after another, before it gives up.
const labAttempts = 3

// work runs plans until there are no more, in one lab unless that breaks.
func work(ctx context.Context, o options, binary, dir string, plans <-chan chaos.Plan, done func(chaos.Result) error) error {
	for attempt := 1; ; attempt++ {
		err := workInLab(ctx, o, binary, dir, plans, func(r chaos.Result) error {
			attempt = 0
			return done(r)
		})
		if err == nil || ctx.Err() != nil || attempt == labAttempts {
			return err
		}
		fmt.Fprintf(os.Stderr, "chaos: a lab broke, and its plan is left out; run again with -resume: %v\n", err)
	}
}

// workInLab runs plans in one lab. It keeps the folder of a failed run.
func workInLab(ctx context.Context, o options, binary, dir string, plans <-chan chaos.Plan, done func(chaos.Result) error) (err error) {
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return err
	}
	lab, err := chaos.NewLab(ctx, chaos.Options{Dir: dir, Binary: binary, Progress: os.Stderr})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lab.Close()) }()
	for plan := range plans {
		left := folder(dir, plan.Name())
		result, err := lab.Run(ctx, plan)
		if err != nil {
			return err
		}
		if len(result.Violations) > 0 || o.keep {
			kept := folder(o.out, plan.Name())
			err = errors.Join(os.RemoveAll(kept), os.Rename(left, kept))
		} else {
			err = os.RemoveAll(left)
		}
		if err = errors.Join(err, done(result)); err != nil {
			return err
		}
	}
	return nil
}
