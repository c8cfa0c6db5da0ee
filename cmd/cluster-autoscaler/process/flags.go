package process

import (
	"github.com/spf13/pflag"
	"k8s.io/autoscaler/cluster-autoscaler/config/flags"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/options"
)

// FromFlags makes the process of flags that options.Register has added to fs, and that somebody has parsed. See New.
func FromFlags(fs *pflag.FlagSet, opts *options.Options, version string) (*Process, error) {
	core := flags.AutoscalingOptions()
	opts.AWS.FillProfile(fs)
	opts.AWS.FillUnset(fs, &core)
	opts.FillStartupTime(fs, core)
	opts.FillLease(fs)
	p, err := New(core, *opts, version)
	if err != nil {
		return nil, err
	}
	p.flags = options.Given(fs)
	return p, nil
}
