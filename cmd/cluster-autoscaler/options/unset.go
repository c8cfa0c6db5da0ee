package options

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/autoscaler/cluster-autoscaler/config"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// Values of stock flags that are not given. The stock defaults are made for an autoscaler that deletes instances one by one:
// ten nodes at a time, each of whose taints waits for the client's five calls a second.
//
// The number at a time bounds the empty nodes, because --max-drain-parallelism bounds the others. It protects from a mistake as the look at
// each node does, five seconds after its taint and just before the call. The burst of the client is as large, so that the loop can go on.
const (
	scaleDownParallelism = 300
	kubeClientQPS        = 100
	kubeClientBurst      = 300
)

// unset are the stock flags that have another value here when they are not given. Their help names that value.
var unset = []struct {
	name  string
	value any
	why   string
	set   func(*config.AutoscalingOptions, *AWS)
}{
	{"max-scale-down-parallelism", scaleDownParallelism, "one call to AWS removes 100 empty nodes of a group",
		func(o *config.AutoscalingOptions, _ *AWS) { o.MaxScaleDownParallelism = scaleDownParallelism }},
	{"kube-client-qps", kubeClientQPS, "the taints of nodes that leave do not hold up the loop",
		func(o *config.AutoscalingOptions, _ *AWS) { o.KubeClientOpts.KubeClientQPS = kubeClientQPS }},
	{"kube-client-burst", kubeClientBurst, "the taints of nodes that leave do not hold up the loop",
		func(o *config.AutoscalingOptions, _ *AWS) { o.KubeClientOpts.KubeClientBurst = kubeClientBurst }},
	{"balance-similar-node-groups", "true between the zonal views of one group", "the zones of a group stay even (see --asg-zonal-groups)",
		func(o *config.AutoscalingOptions, ours *AWS) {
			ours.ViewsOnly = ours.ZonalGroups != asg.ZonalOff
			o.BalanceSimilarNodeGroups = ours.ViewsOnly
		}},
}

// The stock autoscaler has the usual lease. A plugin and a shadow run beside it, with leases of their own.
const (
	usualLease  = "cluster-autoscaler"
	pluginLease = usualLease + "-plugin"

	shadowSuffix = "-shadow"
)

const leaseFlag = "leader-elect-resource-name"

// FillLease gives a plugin a lease of its own if the flags name none. fs is parsed. A shadow never waits for the lease of
// the autoscaler that it watches, because it would take it in the end.
func (o *Options) FillLease(fs *pflag.FlagSet) {
	if o.AWS.PluginAddress != "" && !fs.Changed(leaseFlag) {
		o.LeaderElection.ResourceName = pluginLease
	}
	if o.AWS.Shadow && !strings.HasSuffix(o.LeaderElection.ResourceName, shadowSuffix) {
		o.LeaderElection.ResourceName += shadowSuffix
	}
}

// Values of --asg-profile, and the flags of the second one.
const (
	ProfileStandard     = "standard"
	ProfileConservative = "conservative"
	conservative        = "--asg-launch-mode=desired-capacity --asg-nominate=off --asg-scale-ups-per-loop=1 --asg-interruption-deadline=leave"
)

// FillProfile sets the flags of the profile that were not given. fs is parsed.
func (a *AWS) FillProfile(fs *pflag.FlagSet) {
	for flag := range strings.FieldsSeq(conservative) {
		name, value, _ := strings.Cut(flag[2:], "=")
		if a.Profile == ProfileConservative && !fs.Changed(name) {
			_ = fs.Lookup(name).Value.Set(value) // a test knows that it may have each
		}
	}
}

// readinessPrefix begins the keys of the taints that the Node Readiness Controller keeps on a node until it may have pods. Its API
// admits no other key (sigs.k8s.io/node-readiness-controller, NodeReadinessRule, read 2026-11).
const readinessPrefix = "readiness.k8s.io/"

// documentUnset adds to the help of the flags what holds where they are not given.
func documentUnset(fs *pflag.FlagSet) error {
	for _, u := range unset {
		f := fs.Lookup(u.name)
		if f == nil {
			return fmt.Errorf("the core has no flag --%s", u.name)
		}
		f.Usage = strings.TrimSuffix(f.Usage, ".") + "." + fmt.Sprintf(" If not given: %v, because %s.", u.value, u.why)
	}
	lease := fs.Lookup(leaseFlag)
	if lease == nil {
		return fmt.Errorf("the components have no flag --%s", leaseFlag)
	}
	lease.Usage = strings.TrimSuffix(lease.Usage, ".") + ". If not given: " + pluginLease + " with --asg-plugin-address and " + usualLease + shadowSuffix + " with --shadow, because the autoscaler beside it has a lease, too."
	for name, always := range map[string]string{"startup-taint-prefix": readinessPrefix + " always counts.",
		"startup-taint": "These always count: " + strings.Join(nodetemplate.StartupTaints, ", ") + "."} {
		f := fs.Lookup(name)
		if f == nil {
			return fmt.Errorf("the core has no flag --%s", name)
		}
		f.Usage = strings.TrimSuffix(f.Usage, ".") + ". " + always
	}
	return nil
}

// FillUnset gives the core our values for the flags that were not given, and the start-up taints that always count. fs is parsed.
func (a *AWS) FillUnset(fs *pflag.FlagSet, core *config.AutoscalingOptions) {
	for _, u := range unset {
		if !fs.Changed(u.name) {
			u.set(core, a)
		}
	}
	core.StartupTaintPrefixes = append(slices.Clone(core.StartupTaintPrefixes), readinessPrefix)
	core.StartupTaints = slices.Concat(core.StartupTaints, nodetemplate.StartupTaints)
}
