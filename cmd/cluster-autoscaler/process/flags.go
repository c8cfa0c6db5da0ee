package process

import (
	"github.com/spf13/pflag"
	"k8s.io/autoscaler/cluster-autoscaler/config/flags"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/options"
)

const resourceClaims = "enable-dynamic-resource-allocation"

// FromFlags makes the process of flags that options.Register has added to fs, and that somebody has parsed. It refuses wrong flags, and wrong files
// that they name, before the process stands for election. A leader that finds them has taken the lease from a replica that works. The version is
// the binary's.
func FromFlags(fs *pflag.FlagSet, opts *options.Options, version string) (*Process, error) {
	if given, _ := fs.GetBool(resourceClaims); !given { // as releases of stock before 1.35 could say, while the core ends the process
		klog.InfoS("A flag does nothing here", "flag", "--"+resourceClaims+"=false", "reason", "resource claims count if the API server serves them, and the ClusterRole grants them")
		if err := fs.Set(resourceClaims, "true"); err != nil {
			return nil, err
		}
	}
	core := flags.AutoscalingOptions()
	opts.AWS.FillProfile(fs)
	opts.AWS.FillUnset(fs, &core)
	opts.FillStartupTime(fs, core)
	opts.FillLease(fs)
	p := &Process{core: core, options: *opts, version: version, flags: options.Given(fs)}
	if err := p.check(); err != nil {
		return nil, err
	}
	return p, alignFeatureGates(core.DynamicResourceAllocationEnabled)
}
