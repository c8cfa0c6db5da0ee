package aws

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
)

func resources(pairs ...string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		list[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return list
}

func TestALiveNodeKeepsWhatTheTemplatePromises(t *testing.T) {
	promised := resources("cpu", "4", "memory", "16Gi", "nvidia.com/gpu", "1", "example.com/nothing", "0")
	for _, tt := range []struct {
		name     string
		live     corev1.ResourceList
		wantGPUs int64
		wantCPU  int64 // of the live node, in every case
	}{
		{name: "device plugin late", live: resources("cpu", "3", "memory", "15Gi"), wantGPUs: 1, wantCPU: 3},
		{name: "device plugin gone, zero left behind", live: resources("cpu", "3", "memory", "15Gi", "nvidia.com/gpu", "0"), wantGPUs: 1, wantCPU: 3},
		{name: "published", live: resources("cpu", "3", "memory", "15Gi", "nvidia.com/gpu", "4"), wantGPUs: 4, wantCPU: 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "live"},
				Status: corev1.NodeStatus{Capacity: tt.live.DeepCopy(), Allocatable: tt.live.DeepCopy()}}
			pod := framework.NewPodInfo(cloudprovider.BuildKubeProxy("live"), nil)
			info := framework.NewNodeInfo(node, nil, pod)
			got := withPromised(info, promised, promised)

			shown := got.Node().Status.Allocatable["nvidia.com/gpu"]
			if shown.Value() != tt.wantGPUs {
				t.Errorf("node shows %d GPUs, want %d", shown.Value(), tt.wantGPUs)
			}
			// The scheduler's filters read these sums, not the node: they must have been made anew.
			if sum := got.GetAllocatable().GetScalarResources()["nvidia.com/gpu"]; sum != tt.wantGPUs {
				t.Errorf("scheduler sees %d GPUs, want %d", sum, tt.wantGPUs)
			}
			if cpu := got.GetAllocatable().GetMilliCPU(); cpu != tt.wantCPU*1000 {
				t.Errorf("scheduler sees %dm CPU, want the live node's %d", cpu, tt.wantCPU)
			}
			if len(got.Pods()) != 1 {
				t.Errorf("%d pods on the node, want the one it had", len(got.Pods()))
			}
			if _, changed := node.Status.Allocatable["example.com/nothing"]; changed || !tt.live.Name("nvidia.com/gpu", resource.DecimalSI).Equal(*node.Status.Allocatable.Name("nvidia.com/gpu", resource.DecimalSI)) {
				t.Error("the live node itself was changed")
			}
		})
	}
}
