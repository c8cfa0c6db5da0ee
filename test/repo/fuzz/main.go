package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	duration := flag.Duration("fuzztime", 10*time.Minute, "how long each target runs")
	flag.Parse()
	if flag.NArg() > 0 || *duration <= 0 {
		fmt.Fprintln(os.Stderr, "fuzz: -fuzztime takes a duration above zero, and there are no other arguments")
		os.Exit(2)
	}
	if err := run(ctx, ".", "./...", *duration); err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

// run fuzzes each target for the duration, as many at once as there are processors, and prints how long each took with its build.
func run(ctx context.Context, dir, pattern string, duration time.Duration) error {
	targets, err := findTargets(ctx, dir, pattern)
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		return fmt.Errorf("%s has no fuzz target", pattern)
	}
	var failed atomic.Int32
	var running errgroup.Group
	running.SetLimit(runtime.NumCPU())
	for _, t := range targets {
		running.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			started := time.Now()
			err := t.fuzz(ctx, dir, duration)
			for more := duration; errors.Is(err, errUntried) && more < 16*duration; err = t.fuzz(ctx, dir, more) {
				more *= 2
			}
			result := "ok"
			if err != nil {
				result = err.Error()
				failed.Add(1)
			}
			fmt.Printf("%s %s.%s %s\n", result, t.Package, t.Name, time.Since(started).Round(time.Second))
			return ctx.Err()
		})
	}
	if err := running.Wait(); err != nil {
		return err
	}
	if failed.Load() > 0 {
		return fmt.Errorf("%d of %d targets failed", failed.Load(), len(targets))
	}
	return nil
}

// fuzz runs the target once, for the duration, by one worker. Without its limit the go command may spend a minute on making one new input
// smaller, and tries no other meanwhile.
func (t target) fuzz(ctx context.Context, dir string, duration time.Duration) error {
	test := exec.CommandContext(ctx, "go", "test", "-vet=off", "-run=^$", "-fuzz=^"+t.Name+"$", "-fuzztime="+duration.String(), "-fuzzminimizetime=1s",
		"-parallel=1", t.Package)
	output := output{target: t.Name}
	test.Dir, test.Stdout, test.Stderr = dir, &output, &output
	return judge(test.Run(), output.all.String())
}

// output keeps what a run of go test writes, and prints each line behind the target's name.
type output struct {
	target  string
	all     bytes.Buffer
	printed int // bytes of all
}

func (o *output) Write(some []byte) (int, error) {
	o.all.Write(some)
	for {
		line, _, whole := bytes.Cut(o.all.Bytes()[o.printed:], []byte("\n"))
		if !whole {
			return len(some), nil
		}
		o.printed += len(line) + 1
		fmt.Printf("%s: %s\n", o.target, line)
	}
}

// errUntried is the error of a run whose whole time went to the inputs that were known before. A busy machine takes seconds for them.
var errUntried = errors.New("the time ended before a new input was tried")

// judge returns why a run of go test failed, from its error and its output. It is nil for a run that tried new inputs and found no
// failing one.
//
// The go command may report the end of the time as a failure of the target, without a failing input (go.dev/issue/75804). This is no failure.
func judge(err error, output string) error {
	timeEnded := strings.Contains(output, "\n    context deadline exceeded\n") && !strings.Contains(output, "Failing input written to ") &&
		!strings.Contains(output, "failure while testing seed corpus entry")
	switch {
	case err != nil && !timeEnded:
		return err
	case !strings.Contains(output, ", now fuzzing with "):
		return errUntried
	}
	return nil
}
