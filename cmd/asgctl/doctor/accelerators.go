package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// startTime is how long after Ready a node may still lack its accelerator or its first pod.
const startTime = 5 * time.Minute

func checkAccelerators(_ context.Context, in *installation, c *Check) (looked bool) {
	if in.nodes.missing(c) {
		return false
	}
	plugin := in.daemonSets.missing(c) || // unknown is no fault
		in.runs("device-plugin", "gpu-operator", "neuron", "habana", "dra-driver", "gpu-feature")
	claims := in.runs("dra-driver") && !in.runs("nvidia-device-plugin", "neuron-device-plugin", "habana") // for these nodes may show nothing
	in.eachGroup(func(g *group.Group) {
		template := in.groups.value.Template(g)
		names, label := slices.Sorted(maps.Keys(template.Accelerators())), template.Labels[instancetypes.AcceleratorLabel]
		published := false
		for _, i := range g.Instances {
			node := in.nodes.value[i.ID]
			if node == nil {
				continue
			}
			own := nodetemplate.HasAccelerator(node.Status.Allocatable) // parts of a GPU, too
			published = published || own
			if own || claims {
				continue
			}
			for _, name := range names {
				quantity, since := node.Status.Allocatable[name], nodemeta.ReadySince(node)
				if quantity.IsZero() && !since.IsZero() && in.Now().Sub(since) > startTime {
					c.find("node "+node.Name, fmt.Sprintf("it does not publish %s, which its group %q promises", name, g.Name),
						fmt.Sprintf("it is Ready since %s, and its allocatable resources lack %s", since.UTC().Format(time.RFC3339), name), "kubectl describe node "+shellword.Quote(node.Name))
				}
			}
		}
		switch {
		case len(names) > 0 && !published && !plugin && !brings(g):
			c.find(quoted(g), fmt.Sprintf("its nodes have %s, and no DaemonSet of a device plugin publishes it", names[0]), "the names and images of all DaemonSets",
				"kubectl get daemonsets --all-namespaces, then install the device plugin of the vendor")
		case len(names) == 0 && !published && label != "" && template.Known():
			c.find(quoted(g), fmt.Sprintf("its nodes have the label %s=%s, and its types have no accelerator: each new node is waited for until it counts as failed",
				instancetypes.AcceleratorLabel, label), "the template of the group", "asgctl template "+shellword.Quote(g.Name))
		}
	})
	return true
}

// brings reports whether the group's image has a device plugin of its own.
func brings(g *group.Group) bool {
	return g.LaunchSpec != nil && g.LaunchSpec.Image != nil && strings.Contains(strings.ToLower(g.LaunchSpec.Image.Name), "bottlerocket")
}

// runs reports whether there is a DaemonSet with one of the parts in its name or its images.
func (in *installation) runs(parts ...string) bool {
	for _, d := range in.daemonSets.value {
		words := d.Name
		for _, container := range d.Spec.Template.Spec.Containers {
			words += " " + container.Image
		}
		if slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(words, part) }) {
			return true
		}
	}
	return false
}
