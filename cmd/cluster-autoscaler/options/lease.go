package options

import (
	"strings"

	"github.com/spf13/pflag"
)

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
