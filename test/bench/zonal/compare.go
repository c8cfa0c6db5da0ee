package zonal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
)

// Names of the contestants.
const (
	stock = "stock"
	ours  = "ours"
)

type options struct {
	who   []string
	wait  time.Duration
	ours  []string // flags of our autoscaler
	named string   // the cells to run
}

// Main runs the bench. Its exit code is 1, too, if ours runs fewer pods than stock in a cell.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, c, ok := parse(args, stderr)
	if !ok {
		return 2
	}
	r := &report{Version: "v1"}
	err := c.InDir(func(dir string) error { return r.compare(ctx, o, dir, stderr) })
	if len(r.Runs) > 0 {
		err = errors.Join(err, c.Print(stdout, r))
	}
	if worse := r.worse(); worse > 0 {
		err = errors.Join(err, fmt.Errorf("ours runs fewer pods than stock in %d cells", worse))
	}
	return c.Exit(err)
}

// parse parses the flags. It has printed any mistake in them.
func parse(args []string, stderr io.Writer) (o options, c *harness.Command, ok bool) {
	c = harness.New("zonal", stderr, "table", "json")
	c.Names(&o.who, "who", []string{stock, ours}, "the autoscalers to run")
	c.DurationVar(&o.wait, "wait", 30*time.Second, "how long a cell waits for all of its pods to run")
	own := c.String("ours", "--asg-zonal-groups=tagged", "blank-separated `FLAGS` of our autoscaler alone")
	c.StringVar(&o.named, "cell", "", "only the cells whose name has this `TEXT` in it")
	ok = c.Parse(args, func() error {
		if o.wait <= 0 {
			return errors.New("-wait is above zero")
		}
		return nil
	})
	o.ours = strings.Fields(*own)
	return o, c, ok
}

// compare runs one cell after the other, in each both autoscalers side by side. The report has every run that was begun.
func (r *report) compare(ctx context.Context, o options, dir string, progress io.Writer) error {
	binary, err := harness.Build(ctx, dir, progress, slices.Contains(o.who, stock))
	if err != nil {
		return err
	}
	var line sync.Mutex
	for _, cell := range cells() {
		if ctx.Err() != nil {
			break
		}
		if !strings.Contains(cell.label(), o.named) {
			continue
		}
		var runs []*run
		for _, c := range o.contestants() {
			runs = append(runs, &run{cell: cell, contestant: c, binary: binary, progress: progress, mu: &line})
		}
		results, failed := sideBySide(ctx, runs, o, dir)
		r.Runs = append(r.Runs, results...)
		err = errors.Join(err, failed)
	}
	return err
}

func sideBySide(ctx context.Context, runs []*run, o options, dir string) ([]result, error) {
	results, errs := make([]result, len(runs)), make([]error, len(runs))
	var all sync.WaitGroup
	for n, r := range runs {
		all.Go(func() {
			var err error
			if results[n], err = r.measure(ctx, o, r.logs(dir)); err != nil {
				errs[n] = fmt.Errorf("%s with %s: %w", r.cell.label(), r.contestant.name, err)
				results[n] = r.result()
				results[n].Error = err.Error()
				r.tell("could not be run: %v", err)
			}
		})
	}
	all.Wait()
	return results, errors.Join(errs...)
}

// contestants are those that take part, stock first.
func (o options) contestants() []contestant {
	all := []contestant{{stock, []string{"--balance-similar-node-groups"}}, {ours, o.ours}}
	return slices.DeleteFunc(all, func(c contestant) bool { return !slices.Contains(o.who, c.name) })
}
