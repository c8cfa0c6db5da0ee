package process

import (
	"context"

	appslisters "k8s.io/client-go/listers/apps/v1"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/informers"
)

// assumeGroups has a process without a flag that selects groups scale those of its cluster, by the name that is known before they are read. It says
// so, and waits for the DaemonSets, and so for the VPC CNI.
func (p *Process) assumeGroups(ctx context.Context, started informers.Started, daemonSets appslisters.DaemonSetLister) error {
	core, ours := &p.core, &p.options.AWS
	if len(core.NodeGroups)+len(core.NodeGroupAutoDiscovery) > 0 {
		return nil
	}
	if err := p.awaitCaches(ctx, started); err != nil {
		return err
	}
	p.ready.await(firstReading)
	log := klog.FromContext(ctx)
	name := ownership.NewIdentity(ours.ClusterName, core.ClusterName).Early(aws.ClusterOfCNI(daemonSets))
	if name.Cluster == "" { // the groups with the tag may be those of any cluster of the account
		log.Info("No flag selects Auto Scaling groups, and the name of this cluster is not known: no group is scaled",
			"remedy", "name this cluster by --asg-cluster-name, or select its groups by --node-group-auto-discovery")
		return nil
	}
	core.NodeGroupAutoDiscovery, ours.DiscoveryJoin = ownership.Assumed(name.Cluster), ownership.JoinAny
	log.Info("No flag selects Auto Scaling groups: those that name this cluster are scaled", "cluster", name.Cluster, "source", name.Source,
		"asIf", core.NodeGroupAutoDiscovery)
	return nil
}
