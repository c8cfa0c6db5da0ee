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

// evidence is what the Cache has seen of the cluster's name. While it stays the same, so does the name.
type evidence struct {
	nodes    *map[string]string
	network  string
	snapshot *asg.Snapshot // the nodes vote by their groups
}

// seeCluster shows the Cache which instances are nodes of this cluster, and what the cluster calls itself, once for every change.
func (p *Provider) seeCluster() {
	now := evidence{nodes: p.registered.Load(), network: clusterOfCNI(p.network), snapshot: p.cache.Snapshot()}
	if now.nodes == nil || now == p.seen {
		return
	}
	p.cache.SeeCluster(p.ctx, asg.Evidence{Nodes: slices.Collect(maps.Keys(*now.nodes)), Network: now.network})
	p.seen = now
}

// clusterOfCNI is the name that the cluster's VPC CNI has, empty where there is no CNI, or its name stands elsewhere.
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

// cniEnvironment are the variables of the VPC CNI's container, none where there is no CNI, or nobody lists DaemonSets.
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
