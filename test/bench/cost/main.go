package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/bound"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/mix"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/simulate"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run runs the program. It returns 0, 1 if it could not run, or 2 for wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("cost", flag.ContinueOnError)
	flags.SetOutput(stderr)
	path := flags.String("mix", "", "`FILE` with a mix of pods, groups and prices, in YAML or JSON; empty runs the seeded mixes")
	only := flags.String("only", "", "comma-separated `NAMES` of the seeded mixes to run; empty runs all")
	expanders := flags.String("expanders", strings.Join(simulate.Expanders, ","), "comma-separated `NAMES` of the expanders to run")
	output := flags.String("o", "table", "`FORMAT` of the output: table or json")
	parallel := flags.Int("parallel", 2, "how many runs side by side")
	whole := flags.Bool("whole", false, "run the whole way: autoscaler, kube-scheduler and an emulated AWS; -expanders then takes stock/NAME, too")
	repeats := flags.Int("repeats", 1, "how often each run of -whole is repeated")
	wait := flags.Duration("wait", 5*time.Minute, "how long all pods of a run of -whole may take to run")
	atOnce := flags.Bool("at-once", false, "start the autoscaler of -whole once kube-scheduler has judged all pods, so that a busy machine does not stretch their creation")
	ownFlags := flags.String("flags", "", "`FLAGS` of our autoscaler in runs of -whole, separated by spaces, such as --asg-nominate=off")
	dir := flags.String("dir", "", "`DIRECTORY` in which all logs of -whole stay; empty keeps them only if something could not be run")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() > 0 || *output != "table" && *output != "json" || *parallel < 1 || *repeats < 1 || *wait <= 0 {
		fmt.Fprintln(stderr, "cost: -o takes table or json, -parallel and -repeats 1 or more, -wait above zero, and there are no other arguments")
		return 2
	}
	names := strings.Split(*expanders, ",")
	if given := false; *whole {
		flags.Visit(func(f *flag.Flag) { given = given || f.Name == "expanders" })
		if !given {
			names = wholeExpanders
		}
	}
	// The core logs each thing it does.
	logs := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(logs)
	_ = logs.Parse([]string{"-logtostderr=false", "-stderrthreshold=FATAL", "-v=0"})
	klog.SetOutput(io.Discard)

	mixes, err := chosen(*path, *only)
	if err != nil {
		fmt.Fprintln(stderr, "cost:", err)
		return 1
	}
	var r writer
	if *whole {
		r, err = measureWhole(ctx, mixes, wholeOptions{expanders: names, repeats: *repeats, wait: *wait, atOnce: *atOnce, flags: strings.Fields(*ownFlags), dir: *dir}, stderr)
	} else {
		r, err = measure(ctx, mixes, names, *parallel, stderr)
	}
	if r != nil {
		write := r.writeTable
		if *output == "json" {
			write = func(w io.Writer) error { return writeJSON(w, r) }
		}
		err = errors.Join(err, write(stdout))
	}
	if err != nil {
		fmt.Fprintln(stderr, "cost:", err)
		return 1
	}
	return 0
}

// A writer is a report.
type writer interface{ writeTable(io.Writer) error }

// chosen are the mixes to run.
func chosen(path, only string) ([]*mix.Mix, error) {
	if path != "" {
		m, err := mix.Read(path)
		return []*mix.Mix{m}, err
	}
	mixes, err := mix.Seeded()
	if err != nil || only == "" {
		return mixes, err
	}
	names := strings.Split(only, ",")
	mixes = slices.DeleteFunc(mixes, func(m *mix.Mix) bool { return !slices.Contains(names, m.Name) })
	if len(mixes) < len(names) {
		return nil, fmt.Errorf("-only=%s: not all of these are seeded mixes", only)
	}
	return mixes, nil
}

func measure(ctx context.Context, mixes []*mix.Mix, expanders []string, parallel int, progress io.Writer) (writer, error) {
	r := newReport(mixes, expanders)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	var line sync.Mutex // one line of progress at a time
	for i, m := range mixes {
		group.Go(func() error {
			r.Mixes[i].setBounds(bound.Of(bound.OfMix(m)))
			return nil
		})
		for k, name := range expanders {
			group.Go(func() error {
				result, err := simulate.Run(ctx, m, name)
				if err != nil {
					return err
				}
				r.Mixes[i].Runs[k].set(result)
				line.Lock()
				defer line.Unlock()
				fmt.Fprintf(progress, "%s, %s: %.3f/h after %d raises, %.1f s\n", m.Name, name, result.Asked.PerHour, result.Asked.Raises, result.Took.Seconds())
				return nil
			})
		}
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	r.finish()
	return r, nil
}
