package plugin

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/expander/grpcplugin/protos"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
)

// named are node groups by ID.
type named map[string]*aws.NodeGroup

func (n named) NodeGroup(id string) *aws.NodeGroup { return n[id] }

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
		options, infos, err := readOptions(&protos.BestOptionsRequest{
			Options: []*protos.Option{{NodeGroupId: group, NodeCount: count, PodBytes: [][]byte{podA, podB}},
				{NodeGroupId: "api", NodeCount: other, PodBytes: [][]byte{podA, podC}}, nil},
			NodeBytesMap: map[string][]byte{group: nodeA, "api": nodeB},
		}, named{"web": {}, "api": {}}, nil)
		if err != nil && len(options) > 0 {
			t.Errorf("%d options beside the error %v", len(options), err)
		}
		if len(infos) != len(options) {
			t.Errorf("%d options have %d nodes", len(options), len(infos))
		}
		for _, o := range options {
			for _, info := range infos {
				placed := place(t.Context(), o.Pods, o.NodeCount, info.Node().Status.Allocatable, options[0].Pods)
				if o.NodeCount < 1 || len(placed) > o.NodeCount {
					t.Errorf("pods are placed on %d nodes of %d", len(placed), o.NodeCount)
				}
				pods := 0
				for _, of := range placed {
					pods += len(of)
				}
				if pods > len(o.Pods) {
					t.Errorf("%d pods are placed, want at most %d", pods, len(o.Pods))
				}
			}
		}
	})
}

// shaped requests CPU and memory in these amounts.
func shaped(milli, memory int64) *corev1.Pod {
	return &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
		corev1.ResourceCPU: *resource.NewMilliQuantity(milli, resource.DecimalSI), corev1.ResourceMemory: *resource.NewQuantity(memory, resource.BinarySI)}}}}}}
}

var twoCPUs = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("1Ti"),
	corev1.ResourcePods: resource.MustParse("110")}

func TestPodsFillTheFirstNodes(t *testing.T) {
	pods := []*corev1.Pod{shaped(1500, 1), shaped(400, 1), shaped(1500, 1), shaped(400, 1), shaped(400, 1), shaped(100, 1), shaped(1500, 1)}
	placed := place(t.Context(), pods, 3, twoCPUs, nil)
	want := [][]*corev1.Pod{{pods[0], pods[1], pods[5]}, {pods[2], pods[3]}, {pods[4], pods[6]}}
	if !slices.EqualFunc(want, placed, slices.Equal) {
		t.Errorf("placed = %v, want %v", placed, want)
	}
}

// Trying every node for each of these pods takes minutes.
func TestPlacingIsLinearInPods(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	var pods []*corev1.Pod
	for n := range int64(20_000) {
		pods = append(pods, shaped(1500, n))
	}
	if placed := place(ctx, pods, len(pods), twoCPUs, nil); len(placed) != len(pods) {
		t.Errorf("pods got %d nodes in time, want %d", len(placed), len(pods))
	}
}

// patience ends after some questions.
type patience struct {
	context.Context
	left int
}

func (p *patience) Err() error {
	if p.left == 0 {
		return context.Canceled
	}
	p.left--
	return nil
}

func TestPlacingEndsWithItsContext(t *testing.T) {
	placed := place(&patience{t.Context(), 3}, slices.Repeat([]*corev1.Pod{shaped(1500, 1)}, 10), 10, twoCPUs, nil)
	if len(placed) != 3 {
		t.Errorf("%d pods are placed, want the 3 until then", len(placed))
	}
}

// Parsing or comparing such quantities takes minutes.
func TestAbsurdQuantitiesAreRefusedUnparsed(t *testing.T) {
	message := func(field protowire.Number, content string) string {
		return string(protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), []byte(content)))
	}
	text := func(amount string) string { return message(1, amount) }
	for _, tt := range []struct {
		name, quantity string // quantity is the message
		want           bool   // refused
	}{
		{name: "usual", quantity: text("1500m")},
		{name: "with an exponent", quantity: text("-12.5E+3")},
		{name: "large", quantity: text("9e999")},
		{name: "long", quantity: text(strings.Repeat("1", 1000))},
		{name: "large exponent", quantity: text("1e10000000"), want: true},
		{name: "small exponent", quantity: text("+1.5E-10000000"), want: true},
		{name: "nothing but an exponent", quantity: text("e-10000000"), want: true},
		{name: "too long", quantity: text(strings.Repeat("1", 100_000)), want: true},
		{name: "too many decimals", quantity: text("." + strings.Repeat("1", 100_000) + "Ki"), want: true},
		{name: "superfluous bytes", quantity: "\x8a\x00\x8b\x80\x001e-10000000", want: true},
	} {
		pod := &corev1.Pod{}
		overhead := message(32, message(1, "cpu")+message(2, tt.quantity))
		err := unmarshal([]byte(message(2, overhead)), pod)
		if (err != nil) != tt.want || !tt.want && len(pod.Spec.Overhead) != 1 {
			t.Errorf("%s: error %v and pod %v, want a refusal: %t", tt.name, err, pod.Spec, tt.want)
		}
	}
	usual := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-5e10000", UID: "12e45678-0000-4000-8000-123456789012", Labels: map[string]string{"commit": "12e45678"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i@sha256:12e4567812e4567812e4567812e4567812e4567812e4567812e4567812e45678"}}}}
	bytes, err := usual.Marshal()
	if err == nil {
		err = unmarshal(bytes, &corev1.Pod{})
	}
	if err != nil {
		t.Errorf("a pod with names like quantities: %v", err)
	}
}
