package question

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/expander/grpcplugin/protos"
	resourcehelper "k8s.io/component-helpers/resource"
)

func needs(pod *corev1.Pod) corev1.ResourceList {
	return resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})
}

// FuzzQuestion asks with two groups and three pods. Nothing that a caller writes may end the process, and no pod is placed twice.
func FuzzQuestion(f *testing.F) {
	bytes := func(o interface{ Marshal() ([]byte, error) }) []byte {
		b, err := o.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	list := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1930m"), corev1.ResourceMemory: resource.MustParse("7Gi"),
		corev1.ResourcePods: resource.MustParse("29")}
	node := bytes(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Status: corev1.NodeStatus{Capacity: list, Allocatable: list}})
	pod := func(name, cpu string) []byte {
		requests := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}
		return bytes(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "c", Resources: corev1.ResourceRequirements{Requests: requests}}}}})
	}
	f.Add("web", int32(2), int32(1), node, node, pod("a", "1500m"), pod("b", "1"), pod("c", "100m"))
	f.Add("api", int32(1<<31-1), int32(-1), node, []byte{}, pod("a", "-1"), pod("a", "9E"), []byte("half a pod"))
	f.Add("nobody", int32(0), int32(0), []byte{}, []byte{}, []byte{}, []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, group string, count, other int32, nodeA, nodeB, podA, podB, podC []byte) {
		options, err := Read(&protos.BestOptionsRequest{
			Options: []*protos.Option{{NodeGroupId: group, NodeCount: count, PodBytes: [][]byte{podA, podB}},
				{NodeGroupId: "api", NodeCount: other, PodBytes: [][]byte{podA, podC}}, nil},
			NodeBytesMap: map[string][]byte{group: nodeA, "api": nodeB},
		}, func(group string) bool { return group == "web" || group == "api" })
		if err != nil && len(options) > 0 {
			t.Errorf("%d options beside the error %v", len(options), err)
		}
		for _, o := range options {
			placed := Place(o.Pods, o.Nodes, o.Node.Status.Allocatable, options[0].Pods, needs)
			if o.Nodes < 1 || len(placed) > o.Nodes {
				t.Errorf("pods are placed on %d nodes of %d", len(placed), o.Nodes)
			}
			pods := 0
			for _, of := range placed {
				pods += len(of)
			}
			if pods > len(o.Pods) {
				t.Errorf("%d pods are placed, want at most %d", pods, len(o.Pods))
			}
		}
	})
}
