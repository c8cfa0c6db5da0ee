package growth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
)

type options struct {
	axes            []string
	divide, repeats int
	window          time.Duration
}

// Main runs the bench. Its exit code is 3 if something of ours grows faster than linearly.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	c := harness.New("growth", stderr, "table", "json")
	var names []string
	for _, a := range axes {
		names = append(names, a.name)
	}
	c.Names(&o.axes, "only", names, "what grows")
	c.IntVar(&o.divide, "divide", 1, "by which all sizes are divided")
	c.IntVar(&o.repeats, "repeats", 1, "how often each size is run; medians count")
	c.DurationVar(&o.window, "window", 10*time.Second, "how long the processor is profiled in each run, in whole seconds")
	if !c.Parse(args, func() error {
		if o.divide < 1 || o.repeats < 1 || o.window < time.Second {
			return errors.New("-divide and -repeats take 1 or more, -window 1s or more")
		}
		return nil
	}) {
		return 2
	}
	r := newReport(o.repeats)
	err := c.InDir(func(dir string) error { return r.grow(ctx, o, dir, stderr) })
	if code := c.Exit(errors.Join(err, c.Print(stdout, r))); code != 0 {
		return code
	}
	if len(r.tooFast()) > 0 {
		return 3
	}
	return 0
}

// grow runs all sizes of all axes, one after the other. The report has the axes that are complete.
func (r *report) grow(ctx context.Context, o options, dir string, progress io.Writer) error {
	binary, err := harness.Build(ctx, dir, progress, false)
	if err != nil {
		return err
	}
	for _, a := range axes {
		if !slices.Contains(o.axes, a.name) {
			continue
		}
		sizes := a.sizes(o.divide)
		runs := make([][][]figure, len(sizes))
		for repeat := range o.repeats {
			for at, n := range sizes {
				figures, err := measure(ctx, binary, a, n, o.window, filepath.Join(dir, fmt.Sprintf("%s-%d-%d", a.name, n, repeat+1)))
				if err != nil {
					return fmt.Errorf("%d %s: %w", n, a.unit, err)
				}
				runs[at] = append(runs[at], figures)
				fmt.Fprintf(progress, "%s %d, %d of %d\n", a.name, n, repeat+1, o.repeats)
			}
		}
		r.add(a, sizes, runs)
	}
	return nil
}
