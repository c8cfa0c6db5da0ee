package informers

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// replica is a pod of the owner as a reflector decodes it, with strings and maps of its own.
func replica(owner string, n int) *corev1.Pod {
	p := pod().DeepCopy()
	p.Name, p.Namespace, p.GenerateName, p.Spec.NodeName = fmt.Sprint(owner, "-", n), fmt.Sprint("names", "pace"), fmt.Sprint(owner, "-"), fmt.Sprint("node-", n)
	p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: owner, UID: types.UID(owner), Controller: new(true)}}
	return p
}

func TestPodsOfOneOwnerShareWhatIsEqual(t *testing.T) {
	var s recent
	first, second := replica("a", 1), replica("a", 2)
	s.share(first)
	s.share(second)
	assert.Empty(t, cmp.Diff(replica("a", 2), second), "the second pod is another one now (-want +got)")
	first.Labels["app"], first.Spec.NodeSelector["group"] = "changed", "changed"
	first.Spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = bigger[corev1.ResourceCPU]
	if second.Labels["app"] != "changed" || second.Spec.NodeSelector["group"] != "changed" ||
		!second.Spec.Containers[0].Resources.Requests.Cpu().Equal(bigger[corev1.ResourceCPU]) {
		t.Error("the pods have maps of their own")
	}
	if &first.Spec.Tolerations[0] != &second.Spec.Tolerations[0] || &first.OwnerReferences[0] != &second.OwnerReferences[0] ||
		unsafe.StringData(first.Namespace) != unsafe.StringData(second.Namespace) {
		t.Error("the pods have tolerations, owners or names of namespaces of their own")
	}
	assert.True(t, &first.Spec.Containers[0] != &second.Spec.Containers[0], "the pods share a container, which the core writes to")
}

func TestPodsThatDifferShareNothing(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*corev1.Pod)
	}{
		{"another owner", func(p *corev1.Pod) { p.OwnerReferences[0].UID = "b" }},
		{"no owner", func(p *corev1.Pod) { p.OwnerReferences = nil }},
		{"other parts", func(p *corev1.Pod) {
			p.Labels["app"], p.Spec.NodeSelector["group"], p.Spec.Tolerations[0].Key = "b", "b", "b"
			p.Spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = bigger[corev1.ResourceCPU]
			p.Spec.Containers = p.Spec.Containers[:1]
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s recent
			first, second := replica("a", 1), replica("a", 2)
			tt.change(second)
			want := second.DeepCopy()
			s.share(first)
			s.share(second)
			assert.Empty(t, cmp.Diff(want, second), "changed the second pod (-want +got)")
			first.Labels["app"] = "changed"
			assert.True(t, second.Labels["app"] != "changed", "the pods share their labels")
		})
	}
}
