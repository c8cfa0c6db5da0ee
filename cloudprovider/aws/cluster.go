package aws

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	appslisters "k8s.io/client-go/listers/apps/v1"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
)

// cniClusterName is the variable by which EKS gives the VPC CNI the name of the cluster (aws/amazon-vpc-cni-k8s, README, read
// 2026-11).
const cniClusterName = "CLUSTER_NAME"

// seeCluster shows the Cache which instances are nodes of this cluster, and what the cluster calls itself.
func (p *Provider) seeCluster() {
	if p.nodes == nil {
		return
	}
	nodes, err := p.nodes.List(labels.Everything())
	if err != nil {
		klog.FromContext(p.ctx).Error(err, "Could not list the nodes, the name of the cluster stays as it is")
		return
	}
	evidence := asg.Evidence{Nodes: make([]string, 0, len(nodes)), Network: clusterOfCNI(p.network)}
	for _, node := range nodes {
		if id, ok := instanceID(node.Spec.ProviderID); ok {
			evidence.Nodes = append(evidence.Nodes, id)
		}
	}
	p.cache.SeeCluster(p.ctx, evidence)
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
