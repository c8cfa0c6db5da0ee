package doctor

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
)

// checkZones counts the volumes whose pods may wait for a node, or lose it, because AWS chooses the zone of the group's next node.
func checkZones(ctx context.Context, in *installation, c *Check) (looked bool) {
	volumes := fact[map[string][]string]{what: "the volumes", needs: "list persistentvolumes", value: map[string][]string{}, err: in.kubeErr} // names by zone
	if volumes.err == nil {
		volumes.err = each(ctx, in.kube.CoreV1().PersistentVolumes().List, "", func(v *corev1.PersistentVolume) {
			if v.Spec.NodeAffinity == nil || v.Spec.NodeAffinity.Required == nil {
				return
			}
			constraint := podzone.Constraint{Terms: v.Spec.NodeAffinity.Required.NodeSelectorTerms}
			if need, ok := podzone.Of(&corev1.Pod{}, []podzone.Constraint{constraint}, func(string) string { return "" }); ok {
				volumes.value[need.Zone] = append(volumes.value[need.Zone], v.Name)
			}
		})
	}
	if volumes.missing(c) {
		return false
	}
	unsure := 0
	in.eachGroup(func(g *group.Group) {
		var bound []string
		for _, zone := range g.Zones {
			bound = append(bound, volumes.value[zone]...)
		}
		if len(g.Zones) < 2 || len(bound) == 0 {
			return
		}
		evidence, count := "the node affinity of the PersistentVolume "+slices.Min(bound), plural(len(bound), "volume")
		whole := in.groups.value.Whole[g.Name]
		if len(whole) > 0 {
			c.find(quoted(g), fmt.Sprintf("%s. So a node may come up in another zone than a pod's volume needs, as with the stock autoscaler, and its zones have %s",
				whole[0].Message, count), evidence, whole[0].Remedy)
			return
		}
		unsure += len(bound)
		if why := rebalanced(g); why != "" {
			c.find(quoted(g), fmt.Sprintf("its process AZRebalance runs. So AWS may terminate the node of a pod in the zone that its volume needs, and its zones have %s", count),
				evidence+", and "+why, processCommand("suspend", g, processRebalance))
		}
	})
	if unsure > 0 {
		c.skip("autoscaling:LaunchInstances, without which a node may come up in another zone than "+plural(unsure, "volume")+" need", noDryRun, simulate("autoscaling:LaunchInstances"))
	}
	return true
}
