package nomination

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
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

func onlyOn(arch string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{corev1.LabelArchStable: arch} }
}

// Nodes are open first if no pod that is planned for others fits on them.
func TestNodesOpenInTurn(t *testing.T) {
	type side struct {
		node []func(*corev1.Node)
		pod  []func(*corev1.Pod)
	}
	for _, tt := range []struct {
		name string
		a, b side
		want []string // still closed while the pods of the others wait
	}{
		{"large pods fit on large nodes alone", side{[]func(*corev1.Node){sized("4")}, []func(*corev1.Pod){asks("3")}},
			side{[]func(*corev1.Node){sized("8")}, []func(*corev1.Pod){asks("6")}}, []string{"node-b"}},
		{"small nodes are tainted", side{[]func(*corev1.Node){sized("4")}, []func(*corev1.Pod){asks("3")}},
			side{[]func(*corev1.Node){sized("8"), isSpot}, []func(*corev1.Pod){asks("3"), toleratesSpot}}, []string{"node-a"}},
		{"all pods fit on all nodes", side{[]func(*corev1.Node){sized("4")}, []func(*corev1.Pod){asks("3")}},
			side{[]func(*corev1.Node){sized("8")}, []func(*corev1.Pod){asks("3")}}, nil},
		{"pods of each architecture", side{[]func(*corev1.Node){sized("4")}, []func(*corev1.Pod){asks("3"), onlyOn("amd64")}},
			side{[]func(*corev1.Node){sized("4")}, []func(*corev1.Pod){asks("3"), onlyOn("arm64")}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, true, nil, func(w *world) {
				for name, s := range map[string]side{"a": tt.a, "b": tt.b} {
					w.pod(name)
					for _, change := range s.pod {
						w.changePod(name, change)
					}
				}
				a, b := w.Nominator.pod("default", "a", types.UID("a")), w.Nominator.pod("default", "b", types.UID("b"))
				w.Asked("a", [][]*corev1.Pod{{a}})
				w.Asked("b", [][]*corev1.Pod{{b}, {w.pod("c")}}) // the last node never comes
				arch := func(of string) func(*corev1.Node) {
					return func(n *corev1.Node) { metav1.SetMetaDataLabel(&n.ObjectMeta, corev1.LabelArchStable, of) }
				}
				w.node("node-a", "a", tt.a.node...)
				w.node("node-b", "b", tt.b.node...)
				w.wantHeld("node-a", "node-b")
				w.changeNode("node-a", append([]func(*corev1.Node){isReady, arch("amd64")}, tt.a.node...)...)
				w.changeNode("node-b", append([]func(*corev1.Node){isReady, arch("arm64")}, tt.b.node...)...)
				w.settle()
				w.wantHeld(tt.want...)
				for _, name := range []string{"a", "b"} { // kube-scheduler places the pods of open nodes
					if !cmp.Equal(tt.want, []string{"node-" + name}) {
						w.changePod(name, boundTo("node-"+name))
					}
				}
				w.settle()
				w.wantHeld()
			})
		})
	}
}

// kube-scheduler may not place a pod at all.
func TestNextTurnComesAfterAWhile(t *testing.T) {
	inWorld(t, true, nil, func(w *world) {
		a, b := w.pod("a"), w.pod("b")
		for name, cpu := range map[string]string{"a": "3", "b": "6"} {
			w.changePod(name, asks(cpu))
		}
		w.Asked("a", [][]*corev1.Pod{{a}})
		w.Asked("b", [][]*corev1.Pod{{b}, {w.pod("c")}})
		w.node("node-a", "a", sized("4"))
		w.node("node-b", "b", sized("8"))
		w.changeNode("node-a", isReady)
		w.changeNode("node-b", isReady)
		w.settle()
		w.wantHeld("node-b")
		time.Sleep(placeTime)
		w.settle()
		w.wantHeld()
	})
}
