package plugin

import (
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
				if err := pod.Unmarshal(bytes); err != nil {
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
	if err := node.Unmarshal(message); err != nil {
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
