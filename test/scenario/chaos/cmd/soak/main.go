package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
	"github.com/asg-autoscaler/asg-autoscaler/test/scenario/chaos"
)

type options struct {
	day         time.Duration
	seed        uint64
	output, out string
}

func parse() options {
	var o options
	flag.DurationVar(&o.day, "for", 2*time.Hour, "how long the day takes")
	flag.Uint64Var(&o.seed, "seed", 1, "of the day's events")
	flag.StringVar(&o.output, "o", "table", "`FORMAT` of the output: table or json")
	flag.StringVar(&o.out, "out", filepath.Join("bin", "soak"), "`DIRECTORY` for logs and events")
	flag.Parse()
	if o.day < time.Minute || o.output != "table" && o.output != "json" || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "soak: -for takes 1m or more, -o table or json, and there are no arguments beside the flags")
		os.Exit(2)
	}
	return o
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	result, err := run(ctx, parse(), os.Stdout)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	case len(result.Violations) > 0:
		os.Exit(3)
	}
}

func run(ctx context.Context, o options, out io.Writer) (result chaos.Result, err error) {
	if err := errors.Join(os.RemoveAll(o.out), os.MkdirAll(o.out, 0o755)); err != nil {
		return result, err
	}
	binary, err := scenario.BuildAutoscaler(ctx, o.out)
	if err != nil {
		return result, err
	}
	if binary, err = filepath.Abs(binary); err != nil {
		return result, err
	}
	dir, err := filepath.Abs(o.out)
	if err != nil {
		return result, err
	}
	lab, err := chaos.NewLab(ctx, chaos.Options{Dir: dir, Binary: binary, Progress: os.Stderr})
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, lab.Close()) }()
	if result, err = lab.Run(ctx, chaos.NewSoakPlan(o.seed, o.day)); err != nil {
		return result, err
	}
	if o.output == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return result, encoder.Encode(result)
	}
	if err := chaos.PrintSamples(out, result.Samples); err != nil {
		return result, err
	}
	fmt.Fprintf(out, "\n%s\n%s\n", chaos.Header, result)
	return result, nil
}
