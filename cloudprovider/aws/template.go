package aws

import (
	"fmt"

	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/annotations"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/grouptemplate"
)

// nodeInfo returns a new NodeInfo of the template, or cloudprovider.ErrNotImplemented where the group cannot be simulated.
func nodeInfo(t *grouptemplate.Template) (*framework.NodeInfo, error) {
	if t == nil || !t.Known() {
		// The core passes over a group with this error in silence. The group's problem has been reported.
		return nil, cloudprovider.ErrNotImplemented
	}
	node := t.Node(fmt.Sprintf("template-of-%s", t.Group))
	annotations.Template.Mark(node)
	return framework.NewNodeInfo(node, nil, framework.NewPodInfo(cloudprovider.BuildKubeProxy(t.Group), nil)), nil
}
