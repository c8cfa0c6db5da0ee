package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/bound"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/mix"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/simulate"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
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
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() > 0 || *output != "table" && *output != "json" || *parallel < 1 {
		fmt.Fprintln(stderr, "cost: -o takes table or json, -parallel 1 or more, and there are no other arguments")
		return 2
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
	report, err := measure(ctx, mixes, strings.Split(*expanders, ","), *parallel, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "cost:", err)
		return 1
	}
	if *output == "json" {
		err = report.writeJSON(stdout)
	} else {
		err = report.writeTable(stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "cost:", err)
		return 1
	}
	return 0
}

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

func measure(ctx context.Context, mixes []*mix.Mix, expanders []string, parallel int, progress io.Writer) (*report, error) {
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
