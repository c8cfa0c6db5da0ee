package cost

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/bound"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/mix"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/simulate"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
)

// Main runs the bench.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o wholeOptions
	c := harness.New("cost", stderr, "table", "json")
	path := c.String("mix", "", "`FILE` with a mix of pods, groups and prices, in YAML or JSON; empty runs the seeded mixes")
	only := c.String("only", "", "comma-separated `NAMES` of the seeded mixes to run; empty runs all")
	expanders := c.String("expanders", "", "comma-separated `NAMES` of the expanders to run; empty runs "+strings.Join(simulate.Expanders, ",")+
		", or with -whole "+strings.Join(wholeExpanders, ","))
	whole := c.Bool("whole", false, "run the whole way: autoscaler, kube-scheduler and an emulated AWS; -expanders then takes stock/NAME, too")
	c.IntVar(&o.repeats, "repeats", 1, "how often each run of -whole is repeated")
	c.DurationVar(&o.wait, "wait", 5*time.Minute, "how long all pods of a run of -whole may take to run")
	c.BoolVar(&o.atOnce, "at-once", false, "start the autoscaler of -whole once kube-scheduler has judged all pods, so that a busy machine does not stretch their creation")
	ownFlags := c.String("flags", "", "`FLAGS` of our autoscaler in runs of -whole, separated by spaces, such as --asg-nominate=off")
	if !c.Parse(args, func() error {
		if o.repeats < 1 || o.wait <= 0 {
			return errors.New("-repeats takes 1 or more, -wait above zero")
		}
		return nil
	}) {
		return 2
	}
	o.flags = strings.Fields(*ownFlags)
	if o.expanders = simulate.Expanders; *whole {
		o.expanders = wholeExpanders
	}
	if *expanders != "" {
		o.expanders = strings.Split(*expanders, ",")
	}
	// The core logs each thing it does.
	logs := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(logs)
	_ = logs.Parse([]string{"-logtostderr=false", "-stderrthreshold=FATAL", "-v=0"})
	klog.SetOutput(io.Discard)

	mixes, err := chosen(*path, *only)
	if err != nil {
		return c.Exit(err)
	}
	var r harness.Report
	if *whole {
		r, err = measureWhole(ctx, mixes, o, c, stderr)
	} else {
		r, err = measure(ctx, mixes, o.expanders, stderr)
	}
	if r != nil {
		err = errors.Join(err, c.Print(stdout, r))
	}
	return c.Exit(err)
}

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

// parallel is how many simulations run side by side.
const parallel = 2

func measure(ctx context.Context, mixes []*mix.Mix, expanders []string, progress io.Writer) (harness.Report, error) {
	r := newReport(mixes, expanders)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	var line sync.Mutex // one line of progress at a time
	for i, m := range mixes {
		group.Go(func() error {
			r.Mixes[i].Bound = bound.Of(bound.OfMix(m))
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
				fmt.Fprintf(progress, "%s, %s: %.3f/h after %d raises, %.1f s\n", m.Name, name, result.PerHour, result.Raises, result.Took.Seconds())
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
