package command

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/pflag"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/show"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/options"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/process"
)

// unheeded is the value of a log flag that does nothing. asgctl has log flags of its own, and the flags of a recording, which somebody else has made,
// could name any file.
type unheeded struct{ pflag.Value }

func (unheeded) Set(string) error { return nil }

// loops runs loops of an autoscaler with the flags, until the question is answered. They change nothing. It may be called once, because the core
// keeps its flags in variables of the program. The user has typed the last flags, as many as typed.
func (c *cli) loops(ctx context.Context, kube *rest.Config, flags []string, typed int, asked process.Question) (*decision.Report, error) {
	fs := pflag.NewFlagSet("cluster-autoscaler", pflag.ContinueOnError)
	opts := options.Register(fs, flag.CommandLine, utilfeature.DefaultMutableFeatureGate)
	fs.AddFlagSet(pflag.CommandLine)
	logs := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(logs)
	logs.VisitAll(func(f *flag.Flag) {
		if f.Name != "v" {
			fs.Lookup(f.Name).Value = unheeded{fs.Lookup(f.Name).Value}
		}
	})
	words := []string{"--v=" + strconv.Itoa(c.verbosity)}
	for _, word := range flags {
		words = append(words, show.Clean(word)) // the core ends the process with a line that repeats what it refuses
	}
	own := len(words) - typed
	for at, part := range [][]string{words[:own], words[own:]} {
		if err := fs.Parse(part); err != nil || fs.NArg() > 0 {
			return nil, refused(cmp.Or(err, fmt.Errorf("%q is none", fs.Arg(0))), at > 0)
		}
	}
	pflag.CommandLine.AddFlagSet(fs) // where the core looks whether --scheduler-config-file and --drain-priority-config are given
	klog.OsExit = func(int) {        // the core ends the process for a flag that it refuses, with a line of the log
		os.Exit(c.exitCode(refused(errors.New("one is refused, see above"), typed > 0)))
	}
	p, err := process.FromFlags(fs, opts, c.read.Version)
	klog.OsExit = os.Exit
	if err != nil {
		return nil, refused(err, typed > 0)
	}
	log := c.log()
	klog.SetLogger(log) // not before that line
	ctrl.SetLogger(klog.NewKlogr())
	r, err := p.DryRun(klog.NewContext(ctx, log), kube, asked)
	if err != nil {
		return nil, failure{err}
	}
	return r, nil
}

// refused is the error of flags that this program refuses. Flags that nobody typed are another release's, or need a file of the pod.
func refused(err error, typed bool) error {
	if err = fmt.Errorf("flags of the autoscaler: %w", err); typed {
		return err
	}
	return failure{fmt.Errorf("%w: take asgctl of the autoscaler's release, or give another value behind --", err)}
}
