package doctor

import (
	"cmp"
	"os"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/running"
)

// takeFlags finds the autoscaler's pods, and takes over the flags that were not given here. Of the pods that have the given namespace and
// ServiceAccount, ours is the one in which asgctl runs, or the only autoscaler, or the one with the usual names. One in the shadow of another, and a
// core that a plugin answers, count only if their ServiceAccount is given.
func (in *installation) takeFlags() {
	identities, runs := map[[2]string][]corev1.Pod{}, false
	for _, pod := range in.pods.value.autoscalers {
		container, _ := running.AutoscalerIn(&pod.Spec)
		f, of := running.FlagsOf(container), [2]string{pod.Namespace, pod.Spec.ServiceAccountName}
		runs = runs || !f.Shadows()
		given := cmp.Or(in.Running.Namespace, of[0]) == of[0] && cmp.Or(in.Account, of[1]) == of[1]
		if given && (of[1] == in.Account || !f.Shadows() && !f.Core()) {
			identities[of] = append(identities[of], pod)
		}
	}
	here := [2]string{os.Getenv("POD_NAMESPACE"), os.Getenv("SERVICE_ACCOUNT")} // of the chart's pods
	for of := range identities {
		if len(identities) == 1 || of == here {
			in.namespace, in.serviceAccount = of[0], of[1]
		}
	}
	var container corev1.Container
	if pods := identities[[2]string{in.namespace, in.serviceAccount}]; len(pods) > 0 {
		in.ours = &pods[max(0, slices.IndexFunc(pods, func(pod corev1.Pod) bool { return pod.Status.Phase == corev1.PodRunning }))]
		container, _ = running.AutoscalerIn(&in.ours.Spec)
		in.flags = running.FlagsOf(container)
		in.replicas = slices.DeleteFunc(slices.Clone(pods), func(pod corev1.Pod) bool { return pod.DeletionTimestamp != nil })
	}
	in.unsure = in.ours == nil && runs && (in.Running.Namespace == "" || in.Account == "")
	in.Queue = cmp.Or(in.Queue, in.flags.Last("asg-interruption-queue"))
	for name, value := range map[string]*string{
		"asg-cluster-name": &in.Read.ClusterName, "asg-region": &in.Read.Region,
		"asg-node-group-discovery": (*string)(&in.Read.DiscoveryJoin), "asg-zonal-groups": (*string)(&in.Read.ZonalGroups),
	} {
		if given := in.flags.Last(name); *value == "" && !unknown(given) {
			*value = given
		}
	}
	in.Read.Region = cmp.Or(in.Read.Region, running.RegionOf(container))
	for _, node := range in.nodes.value { // a pod may have the region from its instance alone
		in.Read.Region = cmp.Or(in.Read.Region, node.Labels[corev1.LabelTopologyRegion])
	}
}

// skipUnsure notes what cannot be checked while nobody knows which autoscaler is ours.
func (in *installation) skipUnsure(c *Check, subject string) {
	c.skip(subject, "it is not clear which of the autoscalers that run is meant", "--autoscaler-namespace and --service-account")
}

// takeDiscovery takes the discovery flags of the autoscaler's pod where none are given here. A pod without any has the groups that it
// assumes. Without a pod, the usual tag selects the groups: a check of all groups of the account would judge groups that have nothing to do
// with Kubernetes.
func (in *installation) takeDiscovery() {
	r := &in.Read
	if len(r.Nodes)+len(r.AutoDiscovery) > 0 {
		return
	}
	container, _ := running.AutoscalerIn(&cmp.Or(in.ours, &corev1.Pod{}).Spec)
	selects := slices.Concat(in.flags["nodes"], in.flags["node-group-auto-discovery"])
	elsewhere := running.Shell(container) || in.flags.Core()
	r.Nodes = slices.DeleteFunc(slices.Clone(in.flags["nodes"]), unknown)
	r.AutoDiscovery = slices.DeleteFunc(slices.Clone(in.flags["node-group-auto-discovery"]), unknown)
	if in.hidden = slices.ContainsFunc(selects, unknown); len(r.Nodes)+len(r.AutoDiscovery) > 0 {
		return
	}
	in.hidden = in.hidden || elsewhere || in.unsure || in.ours == nil && in.pods.err != nil
	cluster := ""
	if in.ours != nil && len(selects) == 0 {
		cluster = ownership.NewIdentity(r.ClusterName, "").Early(in.network).Cluster
		own := ownership.NewIdentity(in.flags.Last("asg-cluster-name"), "").Early(in.network).Cluster // may lack the name that is given here
		in.nameless = own == "" && in.daemonSets.err == nil && !elsewhere
	}
	r.AutoDiscovery, r.DiscoveryJoin = ownership.Assumed(cluster), ownership.JoinAny
}

// skipHidden notes that groups may be discovered by flags that are not known, and reports whether they may.
func (in *installation) skipHidden(c *Check) bool {
	if in.hidden {
		c.skip("which groups are discovered", "the autoscaler's discovery flags are not known",
			"--node-group-auto-discovery and --nodes, as the autoscaler has them")
	}
	return in.hidden
}

// unknown reports whether the value of a flag comes from a variable that the pod's manifest does not show.
func unknown(value string) bool { return strings.Contains(value, "$(") }

// ourDeployment names the autoscaler's own, or the usual one.
func (in *installation) ourDeployment() string {
	return cmp.Or(deployment(in.ours), "deployment/"+clusterAutoscaler)
}

// deployment names the Deployment of the pod, or "" if it has none or there is no pod.
func deployment(pod *corev1.Pod) string {
	if kind, name := nodemeta.Owner(cmp.Or(pod, &corev1.Pod{})); kind == "Deployment" {
		return "deployment/" + name
	}
	return ""
}

// wanted returns the tags of the discovery flags, or of the first where one is enough, with their values where these matter.
func (in *installation) wanted() []ownership.Tag {
	d, _ := ownership.ParseDiscovery(nil, in.Read.AutoDiscovery) // the reading of the groups has refused wrong ones
	if in.Read.DiscoveryJoin == ownership.JoinAny && len(d.Filters) > 0 {
		return d.Filters[0]
	}
	return slices.Concat(d.Filters...)
}
