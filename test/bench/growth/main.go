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
	"syscall"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

type options struct {
	axes    []axis
	divide  int
	repeats int
	window  time.Duration
	output  string
	dir     string
}

// command runs the program. It returns 0, 1 if something could not be run, 2 for wrong usage, or 3 if something of ours grows faster than
// linearly.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if err != nil {
		return 2
	}
	r, err := grow(ctx, o, stderr)
	if r != nil {
		write := r.writeTable
		if o.output == "json" {
			write = r.writeJSON
		}
		err = errors.Join(err, write(stdout))
	}
	switch {
	case err != nil:
		fmt.Fprintln(stderr, "growth:", err)
		return 1
	case len(r.tooFast()) > 0:
		return 3
	}
	return 0
}

// parse parses the flags. It has printed any mistake in them.
func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("growth", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var names []string
	for _, a := range axes {
		names = append(names, a.name)
	}
	only := flags.String("only", strings.Join(names, ","), "comma-separated `NAMES` of what grows")
	flags.IntVar(&o.divide, "divide", 1, "by which all sizes are divided")
	flags.IntVar(&o.repeats, "repeats", 1, "how often each size is run; medians count")
	flags.DurationVar(&o.window, "window", 10*time.Second, "how long the processor is profiled in each run, in whole seconds")
	flags.StringVar(&o.output, "o", "table", "`FORMAT` of the output: table or json")
	flags.StringVar(&o.dir, "dir", "", "`DIRECTORY` in which logs and profiles stay; empty keeps them only if something could not be run")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	var err error
	for _, name := range strings.Split(*only, ",") {
		at := slices.Index(names, name)
		if at < 0 {
			err = fmt.Errorf("-only takes some of %s", strings.Join(names, ","))
			break
		}
		o.axes = append(o.axes, axes[at])
	}
	switch {
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("there are no arguments beside the flags, but %q", flags.Args())
	case o.output != "table" && o.output != "json":
		err = errors.New("-o takes table or json")
	case o.divide < 1, o.repeats < 1, o.window < time.Second:
		err = errors.New("-divide and -repeats take 1 or more, -window 1s or more")
	}
	if err != nil {
		fmt.Fprintln(stderr, "growth:", err)
	}
	return o, err
}

// grow runs all sizes of all axes, one after the other. Its report has the axes that are complete.
func grow(ctx context.Context, o options, progress io.Writer) (r *report, err error) {
	dir, temporary := o.dir, o.dir == ""
	if temporary {
		dir, err = os.MkdirTemp("", "asg-bench-growth-")
	} else {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		switch {
		case err != nil:
			err = fmt.Errorf("%w\nLogs are in %s", err, dir)
		case temporary:
			err = os.RemoveAll(dir)
		}
	}()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	binary, err := scenario.BuildAutoscaler(ctx, dir)
	if err != nil {
		return nil, err
	}
	r = newReport(o.repeats)
	for _, a := range o.axes {
		sizes := a.sizes(o.divide)
		runs := make([][][]figure, len(sizes))
		for repeat := range o.repeats {
			for at, n := range sizes {
				figures, err := measure(ctx, binary, a, n, o.window, filepath.Join(dir, fmt.Sprintf("%s-%d-%d", a.name, n, repeat+1)))
				if err != nil {
					return r, fmt.Errorf("%d %s: %w", n, a.unit, err)
				}
				runs[at] = append(runs[at], figures)
				fmt.Fprintf(progress, "%s %d, %d of %d\n", a.name, n, repeat+1, o.repeats)
			}
		}
		r.add(a, sizes, runs)
	}
	return r, nil
}
