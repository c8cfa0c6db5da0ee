package why

import (
	"cmp"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// Reasons that name other objects, or have another next step, than others with their code.
const (
	ownAffinity       = "the pod's affinity refuses the nodes, because no such pod runs near"
	ownAntiAffinity   = "the pod's anti-affinity refuses the nodes, because such pods run near"
	theirAntiAffinity = "running pods refuse this pod near them by their anti-affinity"
	noSpreadLabel     = "the nodes lack the label of the pod's topology spread"
	noStorage         = "neither a node nor a next one is known to have the storage for a volume of the pod"
)

// plugins are the answers of the scheduler's plugins. The first entry whose plugin and text fit counts. The texts are
// Kubernetes 1.35's (pkg/scheduler/framework/plugins).
var plugins = []struct {
	plugin string
	text   string // that a reason contains, "" for any
	code   decision.Code
	says   string // of a group's nodes or of the pod
	theirs bool   // the scheduler's own words name an object
	ofPod  bool   // every node would be refused
}{
	{"NodeResourcesFit", "Too many pods", decision.CodeResources, "a node takes no more pods", false, false},
	{"NodeResourcesFit", "", decision.CodeResources, "a node has too little", true, false},
	{"TaintToleration", "", decision.CodeTaint, "the pod does not tolerate a taint", false, false},
	{"NodeUnschedulable", "", decision.CodeTaint, "the nodes are cordoned", false, false},
	{"NodeAffinity", "", decision.CodeNodeSelector, "the nodes do not match the pod's node selector or node affinity", false, false},
	{"NodeName", "", decision.CodeNodeSelector, "the pod names its node", false, false},
	{"NodePorts", "", decision.CodePorts, "a host port of the pod is taken on each new node", false, false},
	{"InterPodAffinity", "existing pods anti-affinity", decision.CodePodAffinity, theirAntiAffinity, false, false},
	{"InterPodAffinity", "anti-affinity", decision.CodePodAffinity, ownAntiAffinity, false, false},
	{"InterPodAffinity", "", decision.CodePodAffinity, ownAffinity, false, false},
	{"PodTopologySpread", "missing required label", decision.CodeTopologySpread, noSpreadLabel, false, false},
	{"PodTopologySpread", "", decision.CodeTopologySpread, "another pod there would break the pod's topology spread", false, false},
	{"VolumeBinding", "unbound immediate", decision.CodeVolume, "a volume claim of the pod is not bound", false, true},
	{"Volume", "not found", decision.CodeVolume, "a volume claim of the pod, or its storage class, does not exist", true, true},
	{"VolumeBinding", "node affinity", decision.CodeVolume, "a volume of the pod is in another zone, or bound to another node", false, false},
	{"VolumeBinding", "available persistent volumes", decision.CodeVolume, "no volume for a claim of the pod can be made there", false, false},
	{"VolumeBinding", "non-existent pv", decision.CodeVolume, "a volume of the pod does not exist any more", false, true},
	{"VolumeBinding", "enough free storage", decision.CodeVolume, noStorage, false, false},
	{"VolumeBinding", "", decision.CodeVolume, "a volume of the pod cannot be used there", true, false},
	{"VolumeZone", "", decision.CodeVolume, "a volume of the pod is in another zone", false, false},
	{"NodeVolumeLimits", "", decision.CodeVolume, "the pod has more volumes than a node can attach", false, false},
	{"VolumeRestrictions", "", decision.CodeVolume, "another pod uses a volume of the pod that only one pod may use", false, true},
	{"DynamicResources", "not found", decision.CodeResourceClaim, "a resource claim of the pod, or its device class, does not exist", true, true},
	{"DynamicResources", "does not exist", decision.CodeResourceClaim, "a resource claim of the pod, or its device class, does not exist", true, true},
	{"DynamicResources", "not created", decision.CodeResourceClaim, "a resource claim of the pod has not been created yet", false, true},
	{"DynamicResources", "cannot allocate", decision.CodeResourceClaim, "the nodes lack the devices of a resource claim of the pod", false, false},
	{"DynamicResources", "", decision.CodeResourceClaim, "the devices of a resource claim of the pod cannot be used there", true, false},
}

// ClaimsUnread is the reason in the place of the plugin DynamicResources where the autoscaler reads no resource claims.
var ClaimsUnread = decision.Reason{Code: decision.CodeResourceClaim, Message: "the autoscaler cannot read resource claims", OfPod: true,
	Remedy: "grant list and watch on the kinds of resource.k8s.io/v1 (manifests/deploy/rbac.yaml), which Kubernetes serves since 1.34"}

// Scheduling translates a failing plugin of the scheduler and its reasons, for one group. detail is what else is known, such as
// the core's debug text, and may be "".
func Scheduling(plugin string, reasons []string, detail string) decision.Reason {
	said := strings.Join(reasons, ", ")
	for _, p := range plugins {
		if strings.Contains(plugin, p.plugin) && strings.Contains(said, p.text) {
			if !p.theirs {
				said = ""
			}
			return decision.Reason{Code: p.code, Message: p.says + inBrackets(said), About: p.says, OfPod: p.ofPod}
		}
	}
	said = cmp.Or(said, detail)
	return decision.Reason{Code: decision.CodeScheduling, Message: "the scheduler's plugin " + quote(plugin) + " refuses the pod" + inBrackets(said)}
}

// inBrackets puts the scheduler's own words behind ours.
func inBrackets(said string) string {
	if said == "" {
		return ""
	}
	return " (" + clean(said, maxText) + ")"
}
