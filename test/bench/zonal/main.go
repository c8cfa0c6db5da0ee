package main

import (
	"context"
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

	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	lab "github.com/asg-autoscaler/asg-autoscaler/test/scenario"
	stockbuild "github.com/asg-autoscaler/asg-autoscaler/test/stock"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Names of the contestants.
const (
	stock = "stock"
	ours  = "ours"
)

type options struct {
	only   []string
	who    []string
	outage time.Duration
	wait   time.Duration
	ours   []string // flags of our autoscaler
	output string
	dir    string
	cells  bool
	named  string // the cells to run
}

// command runs the program. It returns 0, 1 if something could not be run, or 2 for wrong usage.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if err != nil {
		return 2
	}
	r, err := compare(ctx, o, stderr)
	write := r.writeTable
	if o.cells {
		write = func(w io.Writer) error {
			worse, err := r.writeCells(w)
			if worse > 0 {
				err = fmt.Errorf("ours runs fewer pods than stock in %d cells", worse)
			}
			return err
		}
	}
	if o.output == "json" {
		write = r.writeJSON
	}
	if len(r.Runs) > 0 {
		err = errors.Join(err, write(stdout))
	}
	if err != nil {
		fmt.Fprintln(stderr, "zonal:", err)
		return 1
	}
	return 0
}

// parse parses the flags. It has printed any mistake in them.
func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("zonal", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("only", "a,b,c", "comma-separated `NAMES` of the scenarios to run")
	who := flags.String("who", "stock,ours", "comma-separated `NAMES` of the autoscalers to run")
	flags.DurationVar(&o.outage, "outage", 10*time.Minute, "how long the zone of scenario c has no capacity")
	flags.DurationVar(&o.wait, "wait", 5*time.Minute, "how long a scenario waits for all of its pods to run")
	own := flags.String("ours", "--asg-zonal-groups=tagged", "blank-separated `FLAGS` of our autoscaler alone")
	flags.BoolVar(&o.cells, "cells", false, "compare how many pods run in each cell of pods, groups and permissions, instead of the scenarios")
	flags.StringVar(&o.named, "cell", "", "only the cells whose name has this `TEXT` in it")
	flags.StringVar(&o.output, "o", "table", "`FORMAT` of the output: table or json")
	dir := flags.String("dir", "", "`DIRECTORY` in which all logs stay; empty keeps them only if something could not be run")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.only, o.who, o.ours = strings.Split(*only, ","), strings.Split(*who, ","), strings.Fields(*own)
	var err error
	if *dir != "" {
		o.dir, err = filepath.Abs(*dir)
	}
	var names []string
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	switch {
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("there are no arguments beside the flags, but %q", flags.Args())
	case !within(o.only, names):
		err = fmt.Errorf("-only takes some of %s", strings.Join(names, ","))
	case !within(o.who, []string{stock, ours}):
		err = errors.New("-who takes some of stock,ours")
	case o.output != "table" && o.output != "json":
		err = errors.New("-o takes table or json")
	case o.outage <= 0:
		err = errors.New("-outage is above zero")
	case o.wait <= 0:
		err = errors.New("-wait is above zero")
	}
	if err != nil {
		fmt.Fprintln(stderr, "zonal:", err)
	}
	return o, err
}

func within(some, all []string) bool {
	return !slices.ContainsFunc(some, func(name string) bool { return !slices.Contains(all, name) })
}

// compare runs one scenario after the other, in each both autoscalers side by side. Its report has every run that was begun.
func compare(ctx context.Context, o options, progress io.Writer) (r report, err error) {
	r = report{Version: "v1", OutageSeconds: seconds(o.outage.Seconds()), Currency: string(pricing.Embedded(region).Currency())}
	dir, temporary := o.dir, o.dir == ""
	if temporary {
		if dir, err = os.MkdirTemp("", "asg-bench-zonal-"); err != nil {
			return r, err
		}
	}
	defer func() {
		switch {
		case err != nil:
			err = fmt.Errorf("%w\nLogs are in %s", err, dir)
		case temporary:
			err = os.RemoveAll(dir)
		}
	}()
	who, err := contestants(ctx, o, dir, progress)
	if err != nil {
		return r, err
	}
	var line sync.Mutex
	for _, s := range o.scenarios() {
		if ctx.Err() != nil {
			break
		}
		fmt.Fprintf(progress, "%s: %s\n", s.name, s.title)
		var runs []*run
		for _, c := range who {
			runs = append(runs, &run{scenario: s, contestant: c, progress: progress, mu: &line})
		}
		results, failed := sideBySide(ctx, runs, o, dir)
		r.Runs = append(r.Runs, results...)
		err = errors.Join(err, failed)
	}
	return r, err
}

// scenarios are those that are asked for.
func (o options) scenarios() []scenario {
	if !o.cells {
		return slices.DeleteFunc(slices.Clone(scenarios), func(s scenario) bool { return !slices.Contains(o.only, s.name) })
	}
	var some []scenario
	for _, c := range cells() {
		if s := c.scenario(); strings.Contains(s.name, o.named) {
			some = append(some, s)
		}
	}
	return some
}

func sideBySide(ctx context.Context, runs []*run, o options, dir string) ([]result, error) {
	results, errs := make([]result, len(runs)), make([]error, len(runs))
	var all sync.WaitGroup
	for n, r := range runs {
		all.Go(func() {
			var err error
			if results[n], err = r.measure(ctx, o, r.logs(dir)); err != nil {
				errs[n] = fmt.Errorf("scenario %s with %s: %w", r.scenario.name, r.contestant.name, err)
				results[n] = r.blank()
				results[n].Error = err.Error()
				r.tell("could not be run: %v", err)
			}
		})
	}
	all.Wait()
	return results, errors.Join(errs...)
}

func contestants(ctx context.Context, o options, dir string, progress io.Writer) ([]contestant, error) {
	var who []contestant
	if slices.Contains(o.who, stock) {
		binary, err := stockbuild.Build(ctx, progress, stockbuild.AWS, false)
		if err != nil {
			return nil, err
		}
		who = append(who, contestant{stock, binary, []string{"--balance-similar-node-groups"}})
	}
	if slices.Contains(o.who, ours) {
		fmt.Fprintln(progress, "Building our autoscaler")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		binary, err := lab.BuildAutoscaler(ctx, dir)
		if err != nil {
			return nil, err
		}
		who = append(who, contestant{ours, binary, o.ours})
	}
	return who, nil
}
