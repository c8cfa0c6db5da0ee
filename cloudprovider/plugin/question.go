package plugin

import (
	"bytes"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/expander/grpcplugin/protos"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/daemonset"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// readOptions returns the options of our groups, one for each, and the NodeInfos of these groups. Each option has at least one node and
// one pod. A pod of several options is one object, as in the core. ours returns the node group with an ID, or nil. It trusts no caller.
func readOptions(r *protos.BestOptionsRequest, ours func(id string) *aws.NodeGroup, daemonSets []*appsv1.DaemonSet) ([]expander.Option, map[string]*framework.NodeInfo, error) {
	if err := fromOlder(r); err != nil {
		return nil, nil, err
	}
	var options []expander.Option
	infos := map[string]*framework.NodeInfo{}
	known := map[string]*corev1.Pod{}
	for _, m := range r.GetOptions() {
		id, group := m.GetNodeGroupId(), ours(m.GetNodeGroupId())
		if group == nil {
			continue
		}
		if err := fromOlder(m); err != nil {
			return nil, nil, fmt.Errorf("the option %q: %w", id, err)
		}
		if infos[id] != nil { // the node of a group is read once
			return nil, nil, fmt.Errorf("two options are of the group %q", id)
		}
		if m.GetNodeCount() < 1 || len(m.GetPodBytes()) == 0 {
			return nil, nil, fmt.Errorf("the option %q has %d nodes for %d pods", id, m.GetNodeCount(), len(m.GetPodBytes()))
		}
		o := expander.Option{NodeGroup: group, NodeCount: int(m.GetNodeCount()), Debug: m.GetDebug()}
		for _, bytes := range m.GetPodBytes() {
			pod := known[string(bytes)]
			if pod == nil {
				pod = &corev1.Pod{}
				if err := unmarshal(bytes, pod); err != nil {
					return nil, nil, fmt.Errorf("a pod of the option %q: %w", id, err)
				}
				known[string(bytes)] = pod
			}
			o.Pods = append(o.Pods, pod)
		}
		info, err := readNode(r.GetNodeBytesMap()[id], id, daemonSets)
		if err != nil {
			return nil, nil, fmt.Errorf("the node of the option %q: %w", id, err)
		}
		options, infos[id] = append(options, o), info
	}
	return options, infos, nil
}

// readNode returns the next node of the group. The core sends no pods of it, so the pods of DaemonSets come from our own copy of the
// cluster.
func readNode(message []byte, group string, daemonSets []*appsv1.DaemonSet) (*framework.NodeInfo, error) {
	node := &corev1.Node{}
	if err := unmarshal(message, node); err != nil {
		return nil, err
	}
	if len(node.Status.Allocatable) == 0 {
		return nil, errors.New("it has no allocatable resources")
	}
	nodemeta.NodeGroup.Set(node, group)
	pods, err := daemonset.GetDaemonSetPodsForNode(framework.NewNodeInfo(node, nil), daemonSets)
	if err != nil {
		return nil, err
	}
	return framework.NewNodeInfo(node, nil, pods...), nil
}

// The most digits of a quantity, and of its exponent, with which resource.Quantity calculates in no time. It takes minutes and gigabytes for
// 1e-1000000000, even to parse it. A few digits more are a name or a hash.
const (
	mostDigits   = 1000
	mostExponent = 3
)

// unmarshal reads a Pod or a Node. It refuses quantities that nobody can calculate with.
func unmarshal(message []byte, into interface{ Unmarshal([]byte) error }) error {
	const first = 1<<3 | 2 // tag of a text in field 1, where a Quantity has it
	for at, tag := range message {
		if tag != first && tag != 0 { // a tag with superfluous bytes ends with 0
			continue
		}
		length, shift, rest := uint64(0), 0, message[at+1:]
		for more := true; more && len(rest) > 0; shift, rest = shift+7, rest[1:] {
			length |= uint64(rest[0]&0x7f) << shift
			more = rest[0] >= 0x80
		}
		if length <= uint64(len(rest)) && absurd(rest[:length]) {
			return errors.New("a quantity is absurd")
		}
	}
	return into.Unmarshal(message)
}

// absurd reports whether the text is a quantity with too many digits.
func absurd(text []byte) bool {
	suffix := bytes.TrimLeft(text, "+-.0123456789")
	exponent := bytes.TrimLeft(bytes.TrimLeft(suffix, "eE"), "+-")
	return len(text)-len(suffix) > mostDigits ||
		len(exponent) > mostExponent && len(exponent) < len(suffix) && len(bytes.TrimLeft(exponent, "0123456789")) == 0
}
