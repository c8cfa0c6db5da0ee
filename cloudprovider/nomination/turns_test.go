package nomination

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// sized is a node with this many CPUs.
func sized(cpu string) func(*corev1.Node) {
	return func(n *corev1.Node) {
		n.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}
	}
}

// asks is a pod that asks for this many CPUs.
func asks(cpu string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Containers = []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}}}}
	}
}

func isSpot(n *corev1.Node) {
	n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: "spot", Effect: corev1.TaintEffectNoSchedule})
}

func toleratesSpot(p *corev1.Pod) {
	p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{Key: "spot", Operator: corev1.TolerationOpExists})
}

func of(arch string) func(*corev1.Node) {
	return func(n *corev1.Node) { metav1.SetMetaDataLabel(&n.ObjectMeta, corev1.LabelArchStable, arch) }
}

func onlyOn(arch string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{corev1.LabelArchStable: arch} }
}

// Nodes are open first if no pod that is planned for others fits on them, or leaves enough room on its own.
func TestNodesOpenFirst(t *testing.T) {
	lotOf := func(name string, node []func(*corev1.Node), pod []func(*corev1.Pod)) *lot {
		return &lot{nodes: []string{name}, example: starting(name, append([]func(*corev1.Node){isReady}, node...)...), pods: []wish{newWish(waiting("", pod...))}}
	}
	type (
		node = []func(*corev1.Node)
		pod  = []func(*corev1.Pod)
	)
	for _, tt := range []struct {
		name          string
		a, b          *lot
		first, second []string
	}{
		{"large pods fit on large nodes alone", lotOf("a", node{sized("4")}, pod{asks("3")}), lotOf("b", node{sized("8")}, pod{asks("6")}),
			[]string{"a"}, []string{"b"}},
		{"large nodes are tainted", lotOf("a", node{sized("4")}, pod{asks("3")}), lotOf("b", node{sized("8"), isSpot}, pod{asks("3"), toleratesSpot}),
			[]string{"b"}, []string{"a"}},
		{"all pods fit on all nodes", lotOf("a", node{sized("4")}, pod{asks("2")}), lotOf("b", node{sized("8")}, pod{asks("3")}),
			[]string{"a"}, []string{"b"}},
		{"pods of one size fit on all nodes", lotOf("a", node{sized("4")}, pod{asks("3")}), lotOf("b", node{sized("8")}, pod{asks("3")}),
			[]string{"a", "b"}, nil},
		{"a larger pod's own node is tainted", lotOf("a", node{sized("4")}, pod{asks("3")}), lotOf("b", node{sized("8"), isSpot}, pod{asks("4"), toleratesSpot}),
			[]string{"b"}, []string{"a"}},
		{"pods of each architecture", lotOf("a", node{of("amd64")}, pod{onlyOn("amd64")}), lotOf("b", node{of("arm64")}, pod{onlyOn("arm64")}),
			[]string{"a", "b"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			first, second := safe([]*lot{tt.a, tt.b})
			if diff := cmp.Diff([][]string{tt.first, tt.second}, [][]string{namesOf(first), namesOf(second)}); diff != "" {
				t.Errorf("nodes of the first turn and of the second (-want +got):\n%s", diff)
			}
		})
	}
}

// The pods of the last group are too large for the other nodes.
func TestTurns(t *testing.T) {
	lotOf := func(group, cpu, request string, nodes, podsEach int) *lot {
		l := &lot{example: starting(group, isReady, sized(cpu))}
		for at := range nodes {
			l.nodes = append(l.nodes, fmt.Sprint(group, at))
			for range podsEach {
				l.pods = append(l.pods, newWish(waiting("", asks(request))))
			}
		}
		return l
	}
	for _, tt := range []struct {
		name                   string
		small, large, podsEach int
		want                   []int // nodes of each turn
	}{
		{"few", 2, 1, 1, []int{1, 1, 1}},
		{"more than can be released alone", 21, 1, 1, []int{2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1}},
		{"many with a pod each", 60, 40, 1, []int{60, 40}},
		{"many", 30, 10, 3, []int{4, 4, 4, 4, 4, 4, 4, 2, 2, 2, 2, 2, 2}},
		{"alike", 100, 0, 1, []int{100}},
		{"many pods", 60, 40, 3, []int{60, 40}},
		{"too many pods", 60, 41, 3, []int{101}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []int
			lots := []*lot{lotOf("small", "4", "3", tt.small, tt.podsEach)}
			if tt.large > 0 {
				lots = append(lots, lotOf("large", "8", "6", tt.large, tt.podsEach))
			}
			for _, turn := range turns(lots) {
				got = append(got, len(turn))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("nodes of each turn (-want +got):\n%s", diff)
			}
		})
	}
}
