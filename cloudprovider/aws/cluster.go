package aws

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	appslisters "k8s.io/client-go/listers/apps/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// The Amazon VPC CNI of every EKS cluster. Its variables are in aws/amazon-vpc-cni-k8s, README (read 2026-11).
const (
	cniNamespace = "kube-system"
	cniDaemonSet = "aws-node" // and its container
)

// evidence is the Cache's evidence of the cluster's name. While it stays the same, so does the name.
type evidence struct {
	nodes    *map[string]string
	network  string
	snapshot *group.Snapshot // the nodes vote by their groups
}

// SeeCluster shows the Cache the instances of this cluster's nodes, and the name in the cluster's CNI, once for every change. Refresh does
// so, too, but interruptions come before the first loop, and to a replica that no core asks. The listers must be filled, because half of
// the nodes may settle the wrong name of the cluster.
func (p *Provider) SeeCluster() {
	p.seeing.Lock()
	defer p.seeing.Unlock()
	p.registered.read()
	now := evidence{nodes: p.registered.known.Load(), network: ClusterOfCNI(p.network), snapshot: p.cache.Snapshot()}
	if now == p.seen {
		return
	}
	joined := maps.Clone(*p.joined.Load())
	maps.DeleteFunc(joined, func(id, _ string) bool { i, _ := now.snapshot.Instance(id); return i == nil || !i.Lifecycle.Counts() })
	maps.Copy(joined, *now.nodes)
	p.joined.Store(&joined)
	p.cache.SeeCluster(p.ctx, ownership.Evidence{Nodes: slices.Collect(maps.Keys(*now.nodes)), Network: now.network})
	p.seen = now
}

// ClusterOfCNI returns the name that EKS has given to the cluster's VPC CNI, or "".
func ClusterOfCNI(daemonSets appslisters.DaemonSetLister) string {
	name := cniEnvironment(daemonSets)["CLUSTER_NAME"]
	if ownership.CheckClusterName(name) != nil {
		return ""
	}
	return name
}

// otherCNIs are the DaemonSets of CNIs that give pods no addresses of the VPC, as kOps, RKE2, Talos and the projects' own manifests
// name them (read 2026-11). On EKS some of them run beside the VPC CNI, for their network policies.
var otherCNIs = []string{"kube-system/cilium", "kube-system/calico-node", "calico-system/calico-node", "kube-system/canal",
	"kube-system/rke2-canal", "kube-flannel/kube-flannel-ds", "kube-system/kube-flannel-ds", "kube-system/kube-flannel",
	"kube-system/kube-router", "kube-system/antrea-agent", "kube-system/kindnet"}

// cniOf reads the settings of the cluster's VPC CNI, and whether another CNI is there in its place. Anything but a Boolean is off.
func cniOf(daemonSets appslisters.DaemonSetLister) nodetemplate.CNI {
	env := cniEnvironment(daemonSets)
	isOn := func(name string) bool {
		on, _ := strconv.ParseBool(env[name])
		return on
	}
	other := env == nil && slices.ContainsFunc(otherCNIs, func(other string) bool {
		namespace, name, _ := strings.Cut(other, "/")
		_, err := daemonSets.DaemonSets(namespace).Get(name)
		return err == nil
	})
	return nodetemplate.CNI{PrefixDelegation: isOn("ENABLE_PREFIX_DELEGATION"), CustomNetworking: isOn("AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG"),
		PodInterfaces: isOn("ENABLE_POD_ENI"), Other: other}
}

// hasStaticProxy reports whether nodes may have kube-proxy as a static pod, as in kOps' clusters. EKS has a DaemonSet in its place.
func hasStaticProxy(daemonSets appslisters.DaemonSetLister) bool {
	_, err := daemonSets.DaemonSets(metav1.NamespaceSystem).Get("kube-proxy")
	return err != nil
}

// cniEnvironment returns the variables of the VPC CNI's container, nil without a VPC CNI. The last one of a name counts, as there.
func cniEnvironment(daemonSets appslisters.DaemonSetLister) map[string]string {
	found, err := daemonSets.DaemonSets(cniNamespace).Get(cniDaemonSet)
	if err != nil {
		return nil // there is none
	}
	env := map[string]string{}
	for _, c := range found.Spec.Template.Spec.Containers {
		for _, e := range c.Env {
			if c.Name == cniDaemonSet {
				env[e.Name] = e.Value
			}
		}
	}
	return env
}
