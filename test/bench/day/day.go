package day

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
)

type bench struct {
	minutes   float64
	seed      uint64
	dir       string // of all logs
	ours      string // our program
	karpenter string // Karpenter's
	progress  io.Writer
}

// A day takes least minutes or more, and has some looks at the bill then.
const least = 0.1

// Main runs the bench.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	b := &bench{progress: stderr}
	var only, who []string
	c := harness.New("day", stderr, "table", "json")
	c.Names(&only, "only", names(plans, func(p plan) string { return p.name }), "mixes")
	c.Names(&who, "who", names(contestants, contestant.String), "contestants")
	c.Float64Var(&b.minutes, "minutes", 24, "how many `MINUTES` the day takes")
	c.Uint64Var(&b.seed, "seed", 1, "of the load")
	if !c.Parse(args, func() error {
		if !(b.minutes >= least && b.minutes <= day.Minutes()) {
			return fmt.Errorf("-minutes takes %v to %v", least, day.Minutes())
		}
		return nil
	}) {
		return 2
	}
	var r *report
	err := c.InDir(func(dir string) (err error) {
		b.dir = dir
		taking := slices.DeleteFunc(slices.Clone(contestants), func(one contestant) bool { return !slices.Contains(who, one.name) })
		if err := b.build(ctx, taking); err != nil {
			return err
		}
		r = newReport(b, taking)
		for _, p := range plans {
			if slices.Contains(only, p.name) {
				err = errors.Join(err, b.compare(ctx, p, taking, r))
			}
		}
		return err
	})
	if r != nil {
		err = errors.Join(err, c.Print(stdout, r))
	}
	return c.Exit(err)
}

func names[T any](list []T, name func(T) string) []string {
	var all []string
	for _, one := range list {
		all = append(all, name(one))
	}
	return all
}

// build makes the programs of the contestants that take part.
func (b *bench) build(ctx context.Context, taking []contestant) error {
	runs := func(p program) bool {
		return slices.ContainsFunc(taking, func(c contestant) bool { return c.program == p })
	}
	overlay, err := b.compressed(ctx)
	if err != nil {
		return err
	}
	if b.ours, err = harness.Build(ctx, b.dir, b.progress, runs(stockProgram), "-overlay="+overlay); err == nil && runs(karpenterProgram) {
		b.karpenter, err = b.buildKarpenter(ctx)
	}
	return err
}

// compare runs the contestants one after the other with the same day.
func (b *bench) compare(ctx context.Context, p plan, taking []contestant, r *report) error {
	l, err := p.load(b.seed)
	if err != nil {
		return err
	}
	into := &mixReport{Name: p.name, About: p.about, Currency: l.mix.Currency}
	r.Mixes = append(r.Mixes, into)
	var errs []error
	for _, c := range taking {
		if err := context.Cause(ctx); err != nil {
			return errors.Join(append(errs, err)...)
		}
		one := &runReport{Contestant: c.name}
		into.Runs = append(into.Runs, one)
		if err := b.run(ctx, l, c, filepath.Join(b.dir, p.name+"-"+c.name), one); err != nil {
			err = fmt.Errorf("%s with %s: %w", p.name, c.name, err)
			one.Error, errs = err.Error(), append(errs, err)
		}
		fmt.Fprintf(b.progress, "%s, %s: %s\n", p.name, c.name, one)
	}
	return errors.Join(errs...)
}
