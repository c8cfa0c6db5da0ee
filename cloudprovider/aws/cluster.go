package aws

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	appslisters "k8s.io/client-go/listers/apps/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
)

// cniClusterName is the variable by which EKS gives the VPC CNI the name of the cluster (aws/amazon-vpc-cni-k8s, README, read
// 2026-11).
const cniClusterName = "CLUSTER_NAME"

// evidence is the Cache's evidence of the cluster's name. While it stays the same, so does the name.
type evidence struct {
	nodes    *map[string]string
	network  string
	snapshot *asg.Snapshot // the nodes vote by their groups
}

// seeCluster shows the Cache the instances of this cluster's nodes, and the name in the cluster's CNI, once for every change.
func (p *Provider) seeCluster() {
	now := evidence{nodes: p.registered.known.Load(), network: clusterOfCNI(p.network), snapshot: p.cache.Snapshot()}
	if now.nodes == nil || now == p.seen {
		return
	}
	p.cache.SeeCluster(p.ctx, asg.Evidence{Nodes: slices.Collect(maps.Keys(*now.nodes)), Network: now.network})
	p.seen = now
}

// clusterOfCNI returns the cluster's name from its VPC CNI, or "".
func clusterOfCNI(daemonSets appslisters.DaemonSetLister) string {
	name := ""
	for _, e := range cniEnvironment(daemonSets) {
		if e.Name == cniClusterName {
			name = e.Value
		}
	}
	if asg.CheckClusterName(name) != nil {
		return ""
	}
	return name
}

// cniEnvironment returns the variables of the VPC CNI's container. There are none without a CNI or without a lister.
func cniEnvironment(daemonSets appslisters.DaemonSetLister) []corev1.EnvVar {
	if daemonSets == nil {
		return nil
	}
	found, err := daemonSets.DaemonSets(cniNamespace).Get(cniDaemonSet)
	if err != nil {
		return nil // there is none
	}
	for _, c := range found.Spec.Template.Spec.Containers {
		if c.Name == cniDaemonSet {
			return c.Env
		}
	}
	return nil
}
