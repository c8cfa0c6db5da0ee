package source

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate/fromgroup"
)

// readNodes reads the output of kubectl get nodes -o json. "" is no nodes.
func readNodes(path string) ([]corev1.Node, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--node-list: %w", err)
	}
	var list corev1.NodeList
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("--node-list: %s is not what kubectl get nodes -o json prints: %w", path, err)
	}
	return list.Items, nil
}

// observe concludes from the nodes how the next one of g will look, as a newly started autoscaler does.
func (r *Reading) observe(g *group.Group, nodes []corev1.Node, now time.Time) *nodetemplate.Learnt {
	if g.LaunchSpec == nil {
		return nil
	}
	var observed []*nodetemplate.Observed
	for i := range nodes {
		id, _ := nodemeta.Instance(nodes[i].Spec.ProviderID)
		at := slices.IndexFunc(g.Instances, func(instance group.Instance) bool { return id != "" && instance.ID == id })
		if at >= 0 && slices.Contains(g.LaunchSpec.Origins, g.Instances[at].Origin) && nodetemplate.Settled(&nodes[i], now) {
			observed = append(observed, nodetemplate.Observe(&nodes[i], g.Instances[at].Type, now))
		}
	}
	return nodetemplate.Conclude(observed, nil, fromgroup.Facts(g.LaunchSpec, r.Catalogue))
}
