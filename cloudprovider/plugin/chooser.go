package plugin

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/expander/grpcplugin/protos"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
)

// chooser answers the calls of the gRPC expander.
type chooser struct {
	protos.UnimplementedExpanderServer
	*Server
}

// BestOptions answers with the option that the expander chooses. It passes over groups that can launch nothing now, and answers with
// none if all are such groups.
func (c *chooser) BestOptions(ctx context.Context, r *protos.BestOptionsRequest) (*protos.BestOptionsResponse, error) {
	with := c.parts.Load()
	daemonSets, err := with.DaemonSets.List(labels.Everything())
	if err != nil {
		return nil, err
	}
	options, infos, err := readOptions(r, with.Provider.View().NodeGroup, daemonSets)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	c.loop.Lock() // not before the question is read, which may take long
	defer c.loop.Unlock()
	if err := ctx.Err(); err != nil { // the core has given up waiting for the choice before
		return nil, err
	}
	response := &protos.BestOptionsResponse{}
	if options, err = with.launchable(options, infos); err != nil || len(options) == 0 {
		return response, err
	}
	if best := with.Expander.BestOption(options, infos); best != nil {
		response.Options = []*protos.Option{{NodeGroupId: best.NodeGroup.Id(), NodeCount: int32(best.NodeCount), Debug: best.Debug}}
	}
	return response, nil
}

// launchable returns the options of groups that can launch now.
func (with *Parts) launchable(options []expander.Option, infos map[string]*framework.NodeInfo) ([]expander.Option, error) {
	asked := make([]cloudprovider.NodeGroup, len(options))
	for at, o := range options {
		asked[at] = o.NodeGroup
	}
	able, _, err := with.Launchable.Process(nil, asked, infos, nil)
	if err != nil {
		return nil, err
	}
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
	return list, nil
}
