package plugin

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider/externalgrpc/protos"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/nodeinfos"
)

// answerBefore is the time between the answer of a deletion and the deadline of its call.
const answerBefore = 500 * time.Millisecond

func (p *provider) group(id string) (*aws.NodeGroup, error) {
	if g := p.parts.Load().Provider.View().NodeGroup(id); g != nil {
		return g, nil
	}
	return nil, status.Errorf(codes.NotFound, "no node group is called %q", id)
}

func (p *provider) NodeGroupTargetSize(_ context.Context, r *protos.NodeGroupTargetSizeRequest) (*protos.NodeGroupTargetSizeResponse, error) {
	g, err := p.group(r.GetId())
	if err != nil {
		return nil, err
	}
	size, err := g.TargetSize()
	return &protos.NodeGroupTargetSizeResponse{TargetSize: int32(size)}, err
}

// NodeGroupIncreaseSize does not wait for AWS. NodeGroupNodes shows instances that AWS refuses as failed.
func (p *provider) NodeGroupIncreaseSize(ctx context.Context, r *protos.NodeGroupIncreaseSizeRequest) (*protos.NodeGroupIncreaseSizeResponse, error) {
	g, err := p.group(r.GetId())
	if err != nil {
		return nil, err
	}
	p.loop.Lock()
	defer p.loop.Unlock()
	if err := ctx.Err(); err != nil { // the core has given up meanwhile
		return nil, err
	}
	return &protos.NodeGroupIncreaseSizeResponse{}, g.IncreaseSize(int(r.GetDelta()))
}

func (p *provider) NodeGroupDecreaseTargetSize(_ context.Context, r *protos.NodeGroupDecreaseTargetSizeRequest) (*protos.NodeGroupDecreaseTargetSizeResponse, error) {
	g, err := p.group(r.GetId())
	if err != nil {
		return nil, err
	}
	return &protos.NodeGroupDecreaseTargetSizeResponse{}, g.DecreaseTargetSize(int(r.GetDelta()))
}

// NodeGroupDeleteNodes terminates the nodes' instances. Where AWS has not answered shortly before the deadline of the call, or volumes are
// still in use, the answer is that they go. An error would have the core take its mark from all of them, and new pods would come to nodes
// that end. So it is no error if some go and others stay (--node-deletion-batcher-interval). Nodes that stay keep their mark. The core tries
// again minutes later, unless the minimum size needs them: these take no new pods until the group grows or the core starts anew.
func (p *provider) NodeGroupDeleteNodes(ctx context.Context, r *protos.NodeGroupDeleteNodesRequest) (*protos.NodeGroupDeleteNodesResponse, error) {
	g, err := p.group(r.GetId())
	if err != nil {
		return nil, err
	}
	var nodes []*corev1.Node
	for _, m := range r.GetNodes() {
		nodes = append(nodes, p.nodeOf(m))
	}
	done := make(chan error, 1)
	p.late.Go(func() {
		err := g.DeleteNodes(nodes)
		part, some := errors.AsType[*asg.TerminationError](err)
		if some && len(part.Stays) < len(nodes) && nodes[0].Annotations[cloudprovider.FakeNodeReasonAnnotation] == "" {
			klog.FromContext(ctx).Error(err, "Some nodes of a batch stayed, marked for minutes", "nodeGroup", g.Id(), "nodes", len(nodes))
			err = nil
		}
		if err != nil && ctx.Err() != nil {
			klog.FromContext(ctx).Error(err, "Nodes stayed whose deletion was answered, marked for minutes", "nodeGroup", g.Id(), "nodes", len(nodes))
		}
		done <- err
	})
	var soon <-chan time.Time
	if deadline, limited := ctx.Deadline(); limited {
		soon = time.After(time.Until(deadline) - answerBefore)
	}
	select {
	case err := <-done:
		return &protos.NodeGroupDeleteNodesResponse{}, err
	case <-soon:
		klog.FromContext(ctx).Info("Answered a deletion that is not done yet", "nodeGroup", g.Id(), "nodes", len(nodes))
		return &protos.NodeGroupDeleteNodesResponse{}, nil
	}
}

func (p *provider) NodeGroupNodes(_ context.Context, r *protos.NodeGroupNodesRequest) (*protos.NodeGroupNodesResponse, error) {
	g, err := p.group(r.GetId())
	if err != nil {
		return nil, err
	}
	instances, _ := g.Nodes() // which never fails
	response := &protos.NodeGroupNodesResponse{}
	for _, i := range instances {
		m := &protos.Instance{Id: i.Id, Status: &protos.InstanceStatus{InstanceState: protos.InstanceStatus_InstanceState(i.Status.State)}}
		if why := i.Status.ErrorInfo; why != nil {
			m.Status.ErrorInfo = &protos.InstanceErrorInfo{ErrorCode: why.ErrorCode, ErrorMessage: why.ErrorMessage, InstanceErrorClass: int32(why.ErrorClass)}
		}
		response.Instances = append(response.Instances, m)
	}
	return response, nil
}

// NodeGroupTemplateNodeInfo answers with the node that the group would add. It names the group, so that the core's price expander asks
// for the price of a node of that group. It has the labels of a real node, zone identifier included, and its page sizes, or the core would
// not find it similar to the nodes of a group in another zone. It answers with a placeholder for a group that cannot be simulated.
func (p *provider) NodeGroupTemplateNodeInfo(_ context.Context, r *protos.NodeGroupTemplateNodeInfoRequest) (*protos.NodeGroupTemplateNodeInfoResponse, error) {
	g, err := p.group(r.GetId())
	if err != nil {
		return nil, err
	}
	node := nodeinfos.Placeholder(g.Id())
	if info, err := g.TemplateNodeInfo(); err == nil {
		node = info.Node()
		p.parts.Load().ZoneIDs.Label(node)
		p.pages.complete(node)
	}
	nodemeta.NodeGroup.Set(node, g.Id())
	bytes, _ := node.Marshal() // of fields that all have a form
	response := &protos.NodeGroupTemplateNodeInfoResponse{NodeBytes: bytes}
	forOlder(response)
	return response, nil
}

// NodeGroupGetOptions answers with the options of the group's tags. It does not where there are none, or while nodes of the group start:
// the core then uses its own. An answer has no MaxNodeStartupTime, so the core would count each node that has registered and is not
// Ready as broken, and launch another one for its pods.
func (p *provider) NodeGroupGetOptions(_ context.Context, r *protos.NodeGroupAutoscalingOptionsRequest) (*protos.NodeGroupAutoscalingOptionsResponse, error) {
	g, err := p.group(r.GetId())
	if err != nil {
		return nil, err
	}
	d := r.GetDefaults()
	if err := fromOlder(d); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	defaults := config.NodeGroupAutoscalingOptions{
		ScaleDownUtilizationThreshold:    d.GetScaleDownUtilizationThreshold(),
		ScaleDownGpuUtilizationThreshold: d.GetScaleDownGpuUtilizationThreshold(),
		ScaleDownUnneededTime:            d.GetScaleDownUnneededDuration().AsDuration(),
		ScaleDownUnreadyTime:             d.GetScaleDownUnreadyDuration().AsDuration(),
		MaxNodeProvisionTime:             d.GetMaxNodeProvisionDuration().AsDuration(),
		ZeroOrMaxNodeScaling:             d.GetZeroOrMaxNodeScaling(),
		IgnoreDaemonSetsUtilization:      d.GetIgnoreDaemonSetsUtilization(),
	}
	o := g.Options(defaults)
	if o == defaults || p.starts(g.Id(), defaults.MaxNodeProvisionTime, o.MaxNodeProvisionTime) {
		return nil, cloudprovider.ErrNotImplemented
	}
	options := &protos.NodeGroupAutoscalingOptions{
		ScaleDownUtilizationThreshold:    o.ScaleDownUtilizationThreshold,
		ScaleDownGpuUtilizationThreshold: o.ScaleDownGpuUtilizationThreshold,
		ScaleDownUnneededDuration:        durationpb.New(o.ScaleDownUnneededTime),
		ScaleDownUnreadyDuration:         durationpb.New(o.ScaleDownUnreadyTime),
		MaxNodeProvisionDuration:         durationpb.New(o.MaxNodeProvisionTime),
		ZeroOrMaxNodeScaling:             o.ZeroOrMaxNodeScaling,
		IgnoreDaemonSetsUtilization:      o.IgnoreDaemonSetsUtilization,
	}
	forOlder(options)
	return &protos.NodeGroupAutoscalingOptionsResponse{NodeGroupAutoscalingOptions: options}, nil
}
