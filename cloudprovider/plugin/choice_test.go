package plugin

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreexpander "k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/expander/grpcplugin/protos"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/fake"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/expander"
	"github.com/asg-autoscaler/asg-autoscaler/expander/leastcost"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
)

func marshal(t testing.TB, o interface{ Marshal() ([]byte, error) }) []byte {
	bytes, err := o.Marshal()
	require.NoError(t, err)
	return bytes
}

// podOf requests so much CPU. Nobody checks the text of the quantity.
func podOf(name, cpu string) []byte {
	message := func(field protowire.Number, content []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), content)
	}
	quantity := message(2, message(1, []byte(cpu)))
	requests := message(8, message(2, append(message(1, []byte("cpu")), quantity...)))
	return append(message(1, message(1, []byte(name))), message(2, message(2, requests))...)
}

// onePod asks for a pod that fits the group web.
func onePod(t testing.TB, w *awsworld.World) *protos.BestOptionsRequest {
	info, err := w.NodeGroup("web").TemplateNodeInfo()
	require.NoError(t, err)
	return &protos.BestOptionsRequest{Options: []*protos.Option{{NodeGroupId: "web", NodeCount: 1, PodBytes: [][]byte{podOf("a", "1")}}},
		NodeBytesMap: map[string][]byte{"web": marshal(t, info.Node())}}
}

// A question may be slow to read, and the calls of a core must not wait for that.
func TestQuestionIsReadBesideOtherCalls(t *testing.T) {
	s, w := emptyServer(t)
	r := onePod(t, w)
	r.Options = append(r.Options, r.Options[0])
	s.loop.Lock()
	defer s.loop.Unlock()
	refused := make(chan error, 1)
	go func() {
		_, err := (&chooser{Server: s}).BestOptions(t.Context(), r)
		refused <- err
	}()
	select {
	case err := <-refused:
		assert.ErrorContains(t, err, "web")
	case <-time.After(10 * time.Second):
		assert.Fail(t, "a malformed question waits for another call")
	}
}

// FuzzChoice asks two expanders for a choice among two options. Whatever a caller writes, nothing panics, and the choice is one of them.
func FuzzChoice(f *testing.F) {
	s, w := emptyServer(f)
	agent := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "agent", Namespace: "default"}}
	s.parts.Load().DaemonSets = daemonSets(f, agent)
	chains := []*expander.Chain{s.parts.Load().Expander.(*expander.Chain)}
	penalty := func(group string) leastcost.Penalty {
		return leastcost.Penalty{Rank: w.Provider.Rank(group)}
	}
	planner := leastcost.New(w.Costs(), penalty, nil, time.Second, clock.RealClock{})
	chains = append(chains, expander.New([]string{leastcost.Name}, expander.Config{Provider: w.Provider, Costs: w.Costs(), LeastCost: planner}))

	node := onePod(f, w).NodeBytesMap["web"]
	bare := marshal(f, &corev1.Node{})
	absurd := &corev1.Node{Status: corev1.NodeStatus{Allocatable: awsworld.Resources("cpu", "-1", "memory", "1e18", "pods", "9E", "nvidia.com/gpu", "1n")}}
	injected := fake.WithFakePodAnnotation(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "injected"}})
	f.Add("web", int32(2), int32(1), node, node, podOf("a", "1500m"), podOf("b", "1"), marshal(f, injected))
	f.Add("web", int32(1), int32(1), bare, node, podOf("a", "1"), podOf("b", "1"), podOf("c", "1"))
	f.Add("api", int32(1), int32(2), node, node, podOf("a", "1"), podOf("a", "1"), podOf("c", "1"))
	f.Add("web", int32(1<<31-1), int32(1<<31-1), node, marshal(f, absurd), podOf("a", "-9E"), podOf("b", "9E"), podOf("c", "1n"))
	f.Add("web", int32(1), int32(1), node, node, podOf("a", "1e999"), podOf("b", "1e-999"), podOf("c", "999e999"))
	f.Add("web", int32(1), int32(-1), []byte(nil), node, []byte(nil), []byte{}, []byte("half a pod"))
	f.Fuzz(func(t *testing.T, group string, count, other int32, nodeA, nodeB, podA, podB, podC []byte) {
		request := &protos.BestOptionsRequest{Options: []*protos.Option{{NodeGroupId: group, NodeCount: count, PodBytes: [][]byte{podA, podB}},
			{NodeGroupId: "api", NodeCount: other, PodBytes: [][]byte{podA, podC}}, nil},
			NodeBytesMap: map[string][]byte{group: nodeA, "api": nodeB}}
		for _, chain := range chains {
			s.parts.Load().Expander = chain
			answer, err := (&chooser{Server: s}).BestOptions(t.Context(), request)
			if err != nil {
				continue
			}
			for _, best := range answer.Options {
				assert.Truef(t, (best.NodeGroupId == group || best.NodeGroupId == "api") && best.NodeCount >= 1,
					"%d nodes of %q are chosen", best.NodeCount, best.NodeGroupId)
			}
		}
	})
}

// asked reads a question about the pod and the group web.
func asked(t *testing.T, pod []byte, daemonSets ...*appsv1.DaemonSet) ([]coreexpander.Option, map[string]*framework.NodeInfo, error) {
	node := marshal(t, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Status: corev1.NodeStatus{Allocatable: awsworld.Resources("cpu", "2")}})
	return readOptions(&protos.BestOptionsRequest{Options: []*protos.Option{{NodeGroupId: "web", NodeCount: 1, PodBytes: [][]byte{pod}}},
		NodeBytesMap: map[string][]byte{"web": node}}, func(string) *aws.NodeGroup { return &aws.NodeGroup{} }, daemonSets)
}

func TestQuestionHasPodsOfDaemonSets(t *testing.T) {
	_, infos, err := asked(t, podOf("a", "1"), &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "agent", Namespace: "default"}})
	if err != nil || len(infos["web"].Pods()) != 1 {
		t.Errorf("the node of the option = %v, error %v, want the pod of the DaemonSet on it", infos["web"], err)
	}
}

// A name may look like a quantity that nobody can calculate with.
func TestQuestionHasPodsWithAnyName(t *testing.T) {
	options, _, err := asked(t, marshal(t, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "e123456", Labels: map[string]string{"e2024": "true"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "12e45678"}}}}))
	assert.NoError(t, err)
	assert.Len(t, options, 1)
}
