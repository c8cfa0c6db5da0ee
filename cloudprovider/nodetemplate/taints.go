package nodetemplate

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// StartupTaints are the keys of the taints that the documents of these projects advise to register nodes with, or that
// they add themselves. Each project's agent takes its taint off a node once it works there, so that no pod tolerates it (all read
// 2026-11).
var StartupTaints = []string{
	"ebs.csi.aws.com/agent-not-ready",                // kubernetes-sigs/aws-ebs-csi-driver, docs/install.md
	"efs.csi.aws.com/agent-not-ready",                // kubernetes-sigs/aws-efs-csi-driver, docs/README.md
	"fsx.csi.aws.com/agent-not-ready",                // kubernetes-sigs/aws-fsx-csi-driver, docs/install.md
	"s3.csi.aws.com/agent-not-ready",                 // awslabs/mountpoint-s3-csi-driver, docs/CONFIGURATION.md
	"node.cilium.io/agent-not-ready",                 // cilium/cilium, Documentation/installation/taints.rst
	"cni.istio.io/not-ready",                         // istio/istio, pilot/pkg/controllers/untaint
	"node.cluster.x-k8s.io/uninitialized",            // kubernetes-sigs/cluster-api, whose kubeadm provider adds it itself
	"node.cloudprovider.kubernetes.io/uninitialized", // kubernetes/cloud-provider, which kubelet adds under --cloud-provider=external
}

var eksEffects = map[string]corev1.TaintEffect{
	"NO_SCHEDULE":        corev1.TaintEffectNoSchedule,
	"PREFER_NO_SCHEDULE": corev1.TaintEffectPreferNoSchedule,
	"NO_EXECUTE":         corev1.TaintEffectNoExecute,
}

// addTaints sets the taints of all sources together. Two taints with the same key and effect are one, with the stronger
// source's value. Start-up taints are left out, and so are taints of the user data that the group's nodes have lost: an agent that is
// not in our list takes them off.
func (t *Template) addTaints(in *Input, d Declared) {
	for _, taint := range cmp.Or(in.UserData, &UserData{}).Taints {
		if lost := in.Learnt != nil && lastingTaint(taint) && !in.Learnt.Tainted(taint); !lost {
			t.taint(taint, Source{Kind: SourceUserData, Detail: in.UserData.Form})
		}
	}
	for _, taint := range cmp.Or(in.Nodegroup, &Nodegroup{}).Taints {
		if effect, ok := eksEffects[taint.Effect]; ok {
			t.taint(corev1.Taint{Key: taint.Key, Value: taint.Value, Effect: effect}, Source{Kind: SourceNodegroup, Detail: "taints"})
		}
	}
	for _, taint := range d.Taints {
		t.taint(taint, Source{Kind: SourceTag, Detail: taintPrefix + taint.Key})
	}
	slices.SortFunc(t.Taints, func(a, b corev1.Taint) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Effect, b.Effect))
	})
}

func (t *Template) taint(taint corev1.Taint, source Source) {
	if slices.Contains(StartupTaints, taint.Key) {
		return
	}
	t.Sources.Taints[taintName(taint)] = source
	t.Taints = append(slices.DeleteFunc(t.Taints, func(have corev1.Taint) bool { return have.MatchTaint(&taint) }), taint)
}
