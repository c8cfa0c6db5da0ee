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
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

type options struct {
	only    []string
	peers   []string
	repeats int
	idle    time.Duration
	wait    time.Duration
	from    string
	output  string
	report  string
	dir     string

	defaultRates bool
}

// outputs are the forms of the report.
var outputs = map[string]func(*report, io.Writer) error{
	"table":    (*report).writeTable,
	"json":     (*report).writeJSON,
	"markdown": (*report).writeMarkdown,
	"svg":      (*report).writeChart,
}

// command runs the program. It returns 0, 1 if something could not be run, or 2 for wrong usage.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if err != nil {
		return 2
	}
	var r *report
	if o.from != "" {
		r, err = readReport(o.from)
	} else {
		r, err = compare(ctx, o, stderr)
	}
	if r != nil && len(r.Cases) > 0 {
		err = errors.Join(err, outputs[o.output](r, stdout))
	}
	if err != nil {
		fmt.Fprintln(stderr, "peers:", err)
		return 1
	}
	return 0
}

// parse parses the flags. It has printed any mistake in them.
func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("only", "", "comma-separated `NAMES` of the cases to run, as far as the dash: groups is groups-10 and the other two; empty runs all")
	who := flags.String("peers", strings.Join(names(peers), ","), "comma-separated `NAMES` of the peers to run")
	flags.IntVar(&o.repeats, "repeats", 5, "how often each case is run with each peer")
	flags.DurationVar(&o.idle, "idle", time.Minute, "how long an idle peer is observed, in whole minutes")
	flags.DurationVar(&o.wait, "wait", 5*time.Minute, "how long a peer may take for a case")
	flags.StringVar(&o.from, "from", "", "`FILE` with a report as printed by -o json; it is printed in another form, and nothing is run")
	flags.StringVar(&o.output, "o", "table", "`FORMAT` of the output: table, json, markdown, or svg for the chart")
	flags.StringVar(&o.report, "report", "", "`FILE` that gets the report in JSON, too, after each case. Cases of the file that are not run stay in it")
	flags.BoolVar(&o.defaultRates, "default-rates", false, "leave kube-scheduler at 50 and kube-controller-manager at 20 calls a second, "+
		"not 500. The report has these cases beside the others, with "+defaultRates+" behind their names")
	dir := flags.String("dir", "", "`DIRECTORY` in which all logs stay; empty keeps them only if something could not be run")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.peers = strings.Split(*who, ",")
	var err error
	if *dir != "" {
		o.dir, err = filepath.Abs(*dir)
	}
	if err == nil {
		o.only, err = chosen(*only)
	}
	switch {
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("there are no arguments beside the flags, but %q", flags.Args())
	case !within(o.peers, names(peers)):
		err = fmt.Errorf("-peers takes some of %s", strings.Join(names(peers), ","))
	case outputs[o.output] == nil:
		err = errors.New("-o takes table, json, markdown or svg")
	case o.repeats < 1, o.wait <= 0:
		err = errors.New("-repeats takes 1 or more, -wait above zero")
	case o.idle < time.Minute, o.idle%time.Minute != 0:
		err = errors.New("-idle takes whole minutes, because ours reads its groups once a minute")
	}
	if err != nil {
		fmt.Fprintln(stderr, "peers:", err)
	}
	return o, err
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

func within(some, all []string) bool {
	return !slices.ContainsFunc(some, func(name string) bool { return !slices.Contains(all, name) })
}

// compare runs the cases one after the other. Its report has every case that was begun.
func compare(ctx context.Context, o options, progress io.Writer) (r *report, err error) {
	dir, temporary := o.dir, o.dir == ""
	if temporary {
		if dir, err = os.MkdirTemp("", "asg-bench-peers-"); err != nil {
			return nil, err
		}
	}
	defer func() {
		switch {
		case err != nil:
			err = fmt.Errorf("%w\nLogs are in %s", err, dir)
		case temporary:
			err = os.RemoveAll(dir)
		}
	}()
	b := &bench{options: o, dir: dir, progress: progress}
	for _, p := range peers {
		if slices.Contains(o.peers, p.name) {
			b.peers = append(b.peers, p)
		}
	}
	if err := b.build(ctx); err != nil {
		return nil, err
	}
	r = newReport(b.peers, o.repeats) // building names the versions
	if err := r.resume(o.report); err != nil {
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
