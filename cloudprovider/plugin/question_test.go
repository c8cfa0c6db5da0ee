package plugin

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/expander/grpcplugin/protos"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/stretchr/testify/assert"
)

// named are node groups by ID.
type named map[string]*aws.NodeGroup

func (n named) NodeGroup(id string) *aws.NodeGroup { return n[id] }

func TestQuestionHasPodsOfDaemonSets(t *testing.T) {
	node := marshal(t, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("2")}}})
	_, infos, err := readOptions(&protos.BestOptionsRequest{Options: []*protos.Option{{NodeGroupId: "web", NodeCount: 1, PodBytes: [][]byte{podOf("a", "1")}}},
		NodeBytesMap: map[string][]byte{"web": node}}, named{"web": {}}.NodeGroup, []*appsv1.DaemonSet{{ObjectMeta: metav1.ObjectMeta{Name: "agent", Namespace: "default"}}})
	if err != nil || len(infos["web"].Pods()) != 1 {
		t.Errorf("the node of the option = %v, error %v, want the pod of the DaemonSet on it", infos["web"], err)
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
		assert.Truef(t, (err != nil) == tt.want && (tt.want || len(pod.Spec.Overhead) == 1),
			"%s: error %v and pod %v, want a refusal: %t", tt.name, err, pod.Spec, tt.want)
	}
	usual := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-5e10000", UID: "12e45678-0000-4000-8000-123456789012", Labels: map[string]string{"commit": "12e45678"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i@sha256:12e4567812e4567812e4567812e4567812e4567812e4567812e4567812e45678"}}}}
	bytes, err := usual.Marshal()
	if err == nil {
		err = unmarshal(bytes, &corev1.Pod{})
	}
	assert.NoError(t, err, "a pod with names like quantities")
}
