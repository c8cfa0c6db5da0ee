package options

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/config"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/expander"
)

// Values of stock flags that are not given. The stock defaults are made for an autoscaler that deletes instances one by one:
// ten nodes at a time, each of whose taints waits for the client's five calls a second.
//
// The number at a time bounds the empty nodes, because --max-drain-parallelism bounds the others. It protects from a mistake as the core's look
// at the pods of each node does, five seconds after its taint. The burst of the client is as large, so that the loop can go on.
const (
	scaleDownParallelism = 300
	kubeClientQPS        = 100
	kubeClientBurst      = 300
)

const balancing = "balance-similar-node-groups"

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
	{"emit-per-nodegroup-metrics", true, "the sizes of the groups are on /metrics",
		func(o *config.AutoscalingOptions, _ *AWS) { o.EmitPerNodeGroupMetrics = true }},
	{balancing, "true between the zonal views of one group", "the zones of a group stay even, with false, too (see --asg-zonal-groups)",
		func(o *config.AutoscalingOptions, ours *AWS) {
			ours.ViewsOnly = ours.ZonalGroups != asg.ZonalOff
			o.BalanceSimilarNodeGroups = ours.ViewsOnly
		}},
}

// readinessPrefix begins the keys of the taints that the Node Readiness Controller keeps on a node until it may have pods. Its API
// admits no other key (sigs.k8s.io/node-readiness-controller, NodeReadinessRule, read 2026-11).
const readinessPrefix = "readiness.k8s.io/"

// updateTaint may be on the nodes that an update of an EKS managed node group will replace, before they are cordoned (EKS workshop, Upgrading AMIs.
// The EKS user guide of 2026-11 says that they become unschedulable, without naming a taint).
const updateTaint = "eks.amazonaws.com/nodegroup"

// describeStock adds to the help of stock flags what else holds here. --cloud-provider gets the only value that makes sense: the core's default
// depends on the build tag that selects its own providers, and this program uses none of them. fs has all flags.
func describeStock(fs *pflag.FlagSet) {
	more := map[string]string{
		"node-group-auto-discovery": "With neither this flag nor --nodes, the groups with the tag k8s.io/cluster-autoscaler/enabled that also have " +
			"k8s.io/cluster-autoscaler/<cluster> or kubernetes.io/cluster/<cluster>=owned. The cluster is that of --asg-cluster-name, or of the VPC CNI's " +
			"CLUSTER_NAME. If its name is not known: no group.",
		leaseFlag: "If not given: " + pluginLease + " with --asg-plugin-address and " + usualLease + shadowSuffix +
			" with --shadow, because the autoscaler beside it has a lease, too.",
		"startup-taint-prefix": readinessPrefix + " counts, too, unless --status-taint names such a taint.",
		"startup-taint":        "These count, too, unless --status-taint names them: " + strings.Join(nodetemplate.StartupTaints, ", ") + ".",
		"status-taint":         interruption.Taint + " and " + updateTaint + " always count.",
	}
	for _, u := range unset {
		more[u.name] = fmt.Sprintf("If not given: %v, because %s.", u.value, u.why)
	}
	for name, text := range more {
		f := fs.Lookup(name) // the pinned core has each
		f.Usage = strings.TrimSuffix(f.Usage, ".") + ". " + text
	}
	gpus := fs.Lookup("gpu-total")
	gpus.Usage = strings.Replace(gpus.Usage, "CURRENTLY THIS FLAG ONLY WORKS ON GKE.",
		"A type is the value of the node label k8s.amazonaws.com/accelerator, and a type that no node has limits nothing.", 1)
	fs.Lookup("expander").Usage = "Expander that chooses the node group that grows: one of [" + strings.Join(expander.Names, ",") + "], or several separated by commas. " +
		"Each expander chooses among the options that the expanders before it leave. Price, fewest problems, smallest size and then name decide what is still open, " +
		"or chance if random is named. least-waste counts accelerators, too. least-waste-stock is the stock autoscaler's least-waste."
	f := fs.Lookup("cloud-provider")
	f.DefValue, f.Usage = cloudprovider.AwsProviderName, "Cloud provider type. Available values: ["+cloudprovider.AwsProviderName+"]"
	_ = f.Value.Set(cloudprovider.AwsProviderName) // which takes any text
}

// FillUnset gives the core our values for the flags that were not given, and the taints that count without a flag. fs is parsed.
func (a *AWS) FillUnset(fs *pflag.FlagSet, core *config.AutoscalingOptions) {
	for _, u := range unset {
		// false keeps its meaning in stock: different groups are not balanced. There AWS spreads the nodes of one group over its zones.
		if !fs.Changed(u.name) || u.name == balancing && !core.BalanceSimilarNodeGroups {
			u.set(core, a)
		}
	}
	// as in the stock releases that have the flag
	if n, err := fs.GetInt(emptyBulkFlag); err == nil && fs.Changed(emptyBulkFlag) && !fs.Changed("max-scale-down-parallelism") {
		core.MaxScaleDownParallelism = n
	}
	// The core asks for start-up taints first. So a taint that is given as a status taint is none of ours.
	status := core.StatusTaints
	if !slices.ContainsFunc(status, func(key string) bool { return strings.HasPrefix(key, readinessPrefix) }) {
		core.StartupTaintPrefixes = append(slices.Clone(core.StartupTaintPrefixes), readinessPrefix)
	}
	ours := slices.DeleteFunc(slices.Clone(nodetemplate.StartupTaints), func(key string) bool { return slices.Contains(status, key) })
	core.StartupTaints = slices.Concat(core.StartupTaints, ours)
	// A node that is drained for AWS may lose its cordon before our taint. The core would copy the taint, and keep the copy for years.
	core.StatusTaints = append(slices.Clone(core.StatusTaints), interruption.Taint, updateTaint)
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
	if o.AWS.PluginAddress != "" && !fs.Changed(leaseFlag) && !fs.Changed(oldLeaseFlag) {
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
