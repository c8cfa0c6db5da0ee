package plugin

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	providerprotos "k8s.io/autoscaler/cluster-autoscaler/cloudprovider/externalgrpc/protos"
	"k8s.io/autoscaler/cluster-autoscaler/expander/grpcplugin/protos"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
)

// old is a field of a message on the wire.
func old[C ~string | ~[]byte](number protowire.Number, content C) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), []byte(content))
}

// received is the message of a core, which may be an older one.
func received[M proto.Message](t *testing.T, into M, fields ...[]byte) M {
	for _, f := range fields {
		require.NoError(t, proto.UnmarshalOptions{Merge: true}.Unmarshal(f, into))
	}
	return into
}

func fields(t *testing.T, m proto.Message) map[protowire.Number][]byte {
	rest, err := proto.Marshal(m)
	require.NoError(t, err)
	contents := map[protowire.Number][]byte{}
	for len(rest) > 0 {
		number, kind, n := protowire.ConsumeField(rest)
		require.Positive(t, n)
		if kind == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(rest)
			contents[number], _ = protowire.ConsumeBytes(rest[tag:])
		}
		rest = rest[n:]
	}
	return contents
}

func TestOlderCoreReadsTemplate(t *testing.T) {
	s, _ := emptyServer(t)
	response, err := (&provider{Server: s}).NodeGroupTemplateNodeInfo(t.Context(), &providerprotos.NodeGroupTemplateNodeInfoRequest{Id: "web"})
	require.NoError(t, err)
	var node corev1.Node
	require.NoError(t, node.Unmarshal(fields(t, response)[1]))
	assert.Equal(t, "m5.large", node.Labels[corev1.LabelInstanceTypeStable])
}

func TestOlderCoreReadsOptions(t *testing.T) {
	s, _ := emptyServer(t)
	w := awsworld.New(t, nil, awsworld.Group("web", "m5.large", 0, 0, 5, map[string]string{
		awsworld.Template + "autoscaling-options/scaledownunneededtime": "30s"}))
	parts := *s.parts.Load()
	parts.Provider = w.Provider
	s.Ready(parts)
	durations := func(unneeded time.Duration) (contents [][]byte) {
		for at, d := range []time.Duration{unneeded, 20 * time.Minute, 15 * time.Minute} {
			contents = append(contents, old(protowire.Number(3+at), marshal(t, &metav1.Duration{Duration: d})))
		}
		return contents
	}
	for name, newer := range map[string]*providerprotos.NodeGroupAutoscalingOptions{
		"before 1.34": {},
		"1.34": {ScaleDownUnneededDuration: durationpb.New(time.Minute), ScaleDownUnreadyDuration: durationpb.New(20 * time.Minute),
			MaxNodeProvisionDuration: durationpb.New(15 * time.Minute)},
	} {
		response, err := (&provider{Server: s}).NodeGroupGetOptions(t.Context(), &providerprotos.NodeGroupAutoscalingOptionsRequest{Id: "web",
			Defaults: received(t, newer, durations(time.Minute)...)})
		require.NoError(t, err, name)
		got := fields(t, response.NodeGroupAutoscalingOptions)
		for at, want := range durations(30 * time.Second) {
			number := protowire.Number(3 + at)
			assert.Equalf(t, want, old(number, got[number]), "%s: field %d", name, number)
		}
	}
}

func TestOlderCoreAsksExpander(t *testing.T) {
	s, w := emptyServer(t)
	now := onePod(t, w)
	pod, node := now.Options[0].PodBytes[0], now.NodeBytesMap["web"]
	nodes := old(2, append(old(1, "web"), old(2, node)...))
	option := func(pods ...[]byte) []byte {
		bytes, err := proto.Marshal(received(t, &protos.Option{NodeGroupId: "web", NodeCount: 1}, pods...))
		require.NoError(t, err)
		return old(1, bytes)
	}
	for name, question := range map[string]*protos.BestOptionsRequest{
		"before 1.34":         received(t, &protos.BestOptionsRequest{}, option(old(4, pod)), nodes),
		"with similar groups": received(t, &protos.BestOptionsRequest{}, option(old(4, pod), old(5, "api")), nodes),
		"1.34":                received(t, &protos.BestOptionsRequest{NodeBytesMap: now.NodeBytesMap}, option(old(4, pod), old(5, pod)), nodes),
	} {
		answer, err := (&chooser{Server: s}).BestOptions(t.Context(), question)
		require.NoError(t, err, name)
		if assert.Len(t, answer.Options, 1, name) {
			assert.Equal(t, "web", answer.Options[0].NodeGroupId, name)
		}
	}
	half := received(t, &protos.BestOptionsRequest{}, old(2, "half a map"))
	_, err := (&chooser{Server: s}).BestOptions(t.Context(), half)
	assert.Error(t, err, "half a map")
}

func TestOlderCoreAsksForPrices(t *testing.T) {
	s, w := emptyServer(t)
	info, err := w.NodeGroup("web").TemplateNodeInfo()
	require.NoError(t, err)
	p, start := &provider{Server: s}, time.Now()
	from, to := metav1.NewTime(start), metav1.NewTime(start.Add(time.Hour))
	begin, end := marshal(t, &from), marshal(t, &to)
	node := &providerprotos.ExternalGrpcNode{Name: "n", Labels: info.Node().Labels}
	want, err := p.PricingNodePrice(t.Context(), &providerprotos.PricingNodePriceRequest{Node: node, StartTimestamp: timestamppb.New(start),
		EndTimestamp: timestamppb.New(start.Add(time.Hour))})
	require.NoError(t, err)
	got, err := p.PricingNodePrice(t.Context(), received(t, &providerprotos.PricingNodePriceRequest{Node: node}, old(2, begin), old(3, end)))
	assert.Truef(t, err == nil && got.Price == want.Price && want.Price > 0, "price of a node = %v, %v, want %v", got, err, want)
	ofPod, err := p.PricingPodPrice(t.Context(),
		received(t, &providerprotos.PricingPodPriceRequest{}, old(1, podOf("a", "1")), old(2, begin), old(3, end)))
	assert.Truef(t, err == nil && ofPod.Price > 0, "price of a pod = %v, %v, want one", ofPod, err)
}
