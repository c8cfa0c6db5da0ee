package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
)

type options struct {
	only, peers  []string
	repeats      int
	idle, wait   time.Duration
	from, report string

	defaultRates bool
}

// Main runs the bench, or prints a report of it.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o := options{only: names(cases)}
	c := harness.New("peers", stderr, "table", "json", "markdown", "svg")
	c.Func("only", "comma-separated `NAMES` of the cases to run, as far as the dash: groups is groups-10 and the other two; empty runs all", func(list string) (err error) {
		o.only, err = chosen(list)
		return err
	})
	c.Names(&o.peers, "peers", names(peers), "the peers to run")
	c.IntVar(&o.repeats, "repeats", 5, "how often each case is run with each peer")
	c.DurationVar(&o.idle, "idle", time.Minute, "how long an idle peer is observed, in whole minutes")
	c.DurationVar(&o.wait, "wait", 5*time.Minute, "how long a peer may take for a case")
	c.StringVar(&o.from, "from", "", "`FILE` with a report as printed by -o json; it is printed in another form, and nothing is run")
	c.StringVar(&o.report, "report", "", "`FILE` that gets the report in JSON, too, after each case. Cases of the file that are not run stay in it")
	c.BoolVar(&o.defaultRates, "default-rates", false, "leave kube-scheduler at 50 and kube-controller-manager at 20 calls a second, "+
		"not 500. The report has these cases beside the others, with "+defaultRates+" behind their names")
	if !c.Parse(args, o.wrong) {
		return 2
	}
	var r *report
	var err error
	if o.from != "" {
		r, err = readReport(o.from)
	} else {
		err = c.InDir(func(dir string) (err error) {
			r, err = compare(ctx, o, dir, stderr)
			return err
		})
	}
	if r != nil && len(r.Cases) > 0 {
		print := func(w io.Writer) error { return c.Print(w, r) }
		switch c.Format {
		case "markdown":
			print = r.writeMarkdown
		case "svg":
			print = r.writeChart
		}
		err = errors.Join(err, print(stdout))
	}
	return c.Exit(err)
}

// wrong returns what is wrong with the options, or nil.
func (o *options) wrong() error {
	switch {
	case o.repeats < 1, o.wait <= 0:
		return errors.New("-repeats takes 1 or more, -wait above zero")
	case o.idle < time.Minute, o.idle%time.Minute != 0:
		return errors.New("-idle takes whole minutes, because ours reads its groups once a minute")
	}
	return nil
}

// chosen are the names of the cases that the list selects, by their whole name or by its part before the dash.
func chosen(list string) ([]string, error) {
	if list == "" {
		return names(cases), nil
	}
	var some []string
	for _, wanted := range strings.Split(list, ",") {
		found := false
		for _, name := range names(cases) {
			if name == wanted || strings.HasPrefix(name, wanted+"-") {
				some, found = append(some, name), true
			}
		}
		if !found {
			return nil, fmt.Errorf("-only takes some of %s", strings.Join(names(cases), ","))
		}
	}
	return some, nil
}

// named is what cases and peers have in common.
type named interface{ String() string }

func names[T named](list []T) []string {
	var all []string
	for _, one := range list {
		all = append(all, one.String())
	}
	return all
}

// compare runs the cases one after the other. Its report has every case that was begun.
func compare(ctx context.Context, o options, dir string, progress io.Writer) (*report, error) {
	b := &bench{options: o, dir: dir, progress: progress}
	for _, p := range peers {
		if slices.Contains(o.peers, p.name) {
			b.peers = append(b.peers, p)
		}
	}
	if err := b.build(ctx); err != nil {
		return nil, err
	}
	r := newReport(b.peers, o.repeats) // building names the versions
	err := r.resume(o.report)
	if err != nil {
		return nil, err
	}
	for _, c := range cases {
		if slices.Contains(o.only, c.name) && ctx.Err() == nil {
			if o.defaultRates {
				c = c.atDefaultRates()
			}
			err = errors.Join(err, b.repeat(ctx, c, r), r.save(o.report))
		}
	}
	return r, err
}
