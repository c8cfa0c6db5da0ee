package plugin

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/expander/grpcplugin/protos"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/daemonset"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// chooser answers the calls of the gRPC expander.
type chooser struct {
	protos.UnimplementedExpanderServer
	*Server
}

// BestOptions answers with the option that the expander chooses. It passes over groups that can launch nothing now, and answers with
// none if all are such groups. Anybody may ask, so a panic ends the call alone.
func (c *chooser) BestOptions(ctx context.Context, r *protos.BestOptionsRequest) (response *protos.BestOptionsResponse, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			klog.FromContext(ctx).Error(nil, "Recovered from a panic", "cause", cause, "stack", string(debug.Stack()))
			err = status.Errorf(codes.Internal, "the expander has an error: %v", cause)
		}
	}()
	with := c.parts.Load()
	daemonSets, _ := with.DaemonSets.List(labels.Everything()) // the lister reads a cache
	options, infos, err := readOptions(r, with.Provider.View().NodeGroup, daemonSets)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	c.loop.Lock() // not before the question is read, which may take long
	defer c.loop.Unlock()
	if err := ctx.Err(); err != nil { // the core has given up waiting for the choice before
		return nil, err
	}
	response = &protos.BestOptionsResponse{}
	options = with.launchable(options, infos)
	if len(options) == 0 {
		return response, nil
	}
	if best := with.Expander.BestOption(options, infos); best != nil {
		response.Options = []*protos.Option{{NodeGroupId: best.NodeGroup.Id(), NodeCount: int32(best.NodeCount), Debug: best.Debug}}
	}
	return response, nil
}

func (with *Parts) launchable(options []expander.Option, infos map[string]*framework.NodeInfo) []expander.Option {
	asked := make([]cloudprovider.NodeGroup, len(options))
	for at, o := range options {
		asked[at] = o.NodeGroup
	}
	able, _, _ := with.Launchable.Process(nil, asked, infos, nil) // which never fails
	groups := make(map[string]cloudprovider.NodeGroup, len(able))
	for _, g := range able {
		groups[g.Id()] = g
	}
	var list []expander.Option
	for _, o := range options {
		if o.NodeGroup = groups[o.NodeGroup.Id()]; o.NodeGroup != nil {
			list = append(list, o)
		}
	}
	return list
}

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
