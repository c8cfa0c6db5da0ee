package aws

import (
	"fmt"

	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/grouptemplate"
)

// annotationTemplate tells the node of a template from a picture of a live one. It is on no node of the cluster.
const annotationTemplate = "asg-autoscaler/template"

// nodeInfo is a new NodeInfo of the template, or an error where the group cannot be simulated.
func nodeInfo(t *grouptemplate.Template) (*framework.NodeInfo, error) {
	if t == nil || !t.Known() {
		// The core passes over a group with this error in silence; what is wrong with it has been reported.
		return nil, cloudprovider.ErrNotImplemented
	}
	node := t.Node(fmt.Sprintf("template-of-%s", t.Group))
	node.Annotations = map[string]string{annotationTemplate: "true"}
	return framework.NewNodeInfo(node, nil, framework.NewPodInfo(cloudprovider.BuildKubeProxy(t.Group), nil)), nil
}
