package nodeinfos

import (
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/daemonset"
	"k8s.io/autoscaler/cluster-autoscaler/utils/labels"
	podutils "k8s.io/autoscaler/cluster-autoscaler/utils/pod"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
)

// withDaemons returns info with the pods of today's DaemonSets: the copied node may be long gone, or the update of a DaemonSet may
// not have come to it. A pod stays as it is, with the requests that VPA or a webhook gave it, while its DaemonSet has the same template.
// Pods of other templates, or of no DaemonSet any more, go. A DaemonSet without a pod gets one by its template. Without force it gets
// none if the pod does not fit, because such a pod waits on the next node, too. A critical one preempts others there.
func withDaemons(info *framework.NodeInfo, daemonSets []*appsv1.DaemonSet, force bool) *framework.NodeInfo {
	if nodemeta.Template.On(info.Node()) { // the core has just added them
		return info
	}
	today, running := map[types.UID]*appsv1.DaemonSet{}, map[types.UID]bool{}
	for _, ds := range daemonSets {
		today[ds.UID] = ds
	}
	var pods []*framework.PodInfo
	for _, pod := range info.Pods() {
		owner := metav1.GetControllerOfNoCopy(pod)
		if owner != nil && owner.Kind == "DaemonSet" && (owner.APIVersion == "" || strings.HasPrefix(owner.APIVersion, "apps/")) {
			ds := today[owner.UID]
			if ds == nil || pod.Labels["pod-template-generation"] != ds.Annotations[appsv1.DeprecatedTemplateGeneration] {
				continue
			}
			running[ds.UID] = true
		}
		if owner == nil && !podutils.IsMirrorPod(pod.Pod) {
			continue // such as Mountpoint for S3's, which serves another pod of its node
		}
		pods = append(pods, pod)
	}
	missing := slices.DeleteFunc(slices.Clone(daemonSets), func(ds *appsv1.DaemonSet) bool { return running[ds.UID] })
	slices.SortFunc(missing, func(a, b *appsv1.DaemonSet) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	added, _ := daemonset.GetDaemonSetPodsForNode(info, missing) // which never fails
	again := framework.NewNodeInfo(info.Node(), info.LocalResourceSlices, pods...).SetCSINode(info.CSINode)
	for _, pod := range added {
		if force || pod.Spec.PriorityClassName == labels.SystemNodeCriticalLabel || snapshot.MayFit(again, pod.Pod) {
			pod.UID = uuid.NewUUID()
			again.AddPod(pod)
		}
	}
	return again
}
