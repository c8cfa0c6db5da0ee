package leastcost

import (
	"math"
	"slices"

	apiv1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	drasnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/dynamicresources/snapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/utils/ptr"
)

// boundless is the amount of a dimension without a visible limit.
const boundless = math.MaxInt32

// attaches reports whether a volume may have to be attached to the node, and so count against a limit of the node.
func attaches(v *apiv1.Volume) bool {
	return v.PersistentVolumeClaim != nil || v.Ephemeral != nil || v.AWSElasticBlockStore != nil
}

// attached counts the pod's volumes that may have to be attached.
func attached(pod *apiv1.Pod) int64 {
	count := int64(0)
	for i := range pod.Spec.Volumes {
		if attaches(&pod.Spec.Volumes[i]) {
			count++
		}
	}
	return count
}

// claimed counts the devices that the pod's claims are for. A claim counts as one device where nothing else is known of it, and
// where it is for all devices of a node. Of several alternatives the first counts. Pods that share a claim count it each.
func claimed(pod *apiv1.Pod, devices *drasnapshot.Snapshot) int64 {
	known, err := []*resourceapi.ResourceClaim(nil), error(nil)
	if len(pod.Spec.ResourceClaims) > 0 && devices != nil {
		known, err = devices.PodClaims(pod)
	}
	if err != nil || len(known) == 0 {
		return int64(len(pod.Spec.ResourceClaims))
	}
	count := int64(0)
	for _, claim := range known {
		for _, r := range claim.Spec.Devices.Requests {
			switch {
			case r.Exactly == nil && len(r.FirstAvailable) > 0:
				count += max(1, r.FirstAvailable[0].Count)
			case r.Exactly != nil && !ptr.Deref(r.Exactly.AdminAccess, false): // administrators take none away
				count += max(1, r.Exactly.Count)
			}
		}
	}
	return count
}

// promised is how many claimed devices or attached volumes the node states that it takes, boundless where it states nothing. It
// may be too many, where devices or volumes are of several kinds, and too few, where not all volumes count.
func promised(info *framework.NodeInfo, name apiv1.ResourceName) int64 {
	count := int64(0)
	if name == claims {
		for _, slice := range info.LocalResourceSlices {
			count += int64(len(slice.Spec.Devices))
		}
	} else if info.CSINode != nil {
		for _, driver := range info.CSINode.Spec.Drivers {
			if driver.Allocatable != nil {
				count = max(count, int64(ptr.Deref(driver.Allocatable.Count, 0)))
			}
		}
	}
	if count == 0 {
		return boundless
	}
	return count
}

// checkPromises corrects promises by the nodes on which the core packed the pods of an option. It makes a promise boundless that these nodes
// exceed. Devices of several kinds promise too many for claims of one kind. So a node takes the core's mean of claims where the core needs more
// nodes than the promise and the pods without claims explain, on nodes of their own. Otherwise too few nodes would be asked for in each of many
// loops.
func (d *demand) checkPromises(candidates []candidate) {
	for dim := d.dimensions.known; dim < len(d.dimensions.names); dim++ {
		for c := range candidates {
			pods, nodes := candidates[c].option.Pods, int64(candidates[c].option.NodeCount)
			sum, largest := d.requested(pods, dim)
			if offered := d.offered[c][dim]; largest > offered || sum > offered*nodes {
				d.offered[c][dim] = boundless
			}
			if d.dimensions.names[dim] != claims || sum == 0 {
				continue
			}
			others := slices.DeleteFunc(slices.Clone(pods), func(pod *apiv1.Pod) bool { return d.requests[d.index[pod]][dim] > 0 })
			if max(d.needed(c, pods), nodesOf(sum, d.offered[c][dim])+d.needed(c, others)) < nodes {
				d.offered[c][dim] = max(largest, nodesOf(sum, nodes))
			}
		}
	}
}

// requested returns the sum and the largest of what pods request in a dimension.
func (d *demand) requested(pods []*apiv1.Pod, dim int) (sum, largest int64) {
	for _, pod := range pods {
		n := d.requests[d.index[pod]][dim]
		sum, largest = sum+n, max(largest, n)
	}
	return sum, largest
}

// needed returns the least nodes of a candidate that the pods need in any known dimension.
func (d *demand) needed(candidate int, pods []*apiv1.Pod) int64 {
	nodes := int64(0)
	for dim := range d.dimensions.known {
		sum, _ := d.requested(pods, dim)
		nodes = max(nodes, nodesOf(sum, d.offered[candidate][dim]))
	}
	return nodes
}

func nodesOf(sum, each int64) int64 { return (sum + max(1, each) - 1) / max(1, each) }
