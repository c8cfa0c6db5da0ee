package leastcost

import (
	"math"
	"slices"

	apiv1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	drasnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/dynamicresources/snapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// boundless is the amount of a dimension without a visible limit.
const boundless = math.MaxInt32

// attached counts the pod's volumes that may have to be attached to the node, and so count against a limit of the node.
func attached(pod *apiv1.Pod) (count int64) {
	for _, v := range pod.Spec.Volumes {
		if nodemeta.HasClaim(v) || v.AWSElasticBlockStore != nil {
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
	if d.dimensions.known == len(d.dimensions.names) {
		return
	}
	counts := make([]int64, len(d.classes))
	for c := range candidates {
		clear(counts)
		for _, pod := range candidates[c].option.Pods {
			counts[d.classOf[d.index[pod]]]++
		}
		nodes := int64(candidates[c].option.NodeCount)
		for dim := d.dimensions.known; dim < len(d.dimensions.names); dim++ {
			sum, largest := d.requested(counts, dim)
			if offered := d.offered[c][dim]; largest > offered || sum > offered*nodes {
				d.offered[c][dim] = boundless
			}
			if d.dimensions.names[dim] != claims || sum == 0 {
				continue
			}
			others := slices.Clone(counts)
			for i, class := range d.classes {
				if class.request[dim] > 0 {
					others[i] = 0
				}
			}
			if max(d.needed(c, counts), nodesOf(sum, d.offered[c][dim])+d.needed(c, others)) < nodes {
				d.offered[c][dim] = max(largest, nodesOf(sum, nodes))
			}
		}
	}
}

func (d *demand) requested(counts []int64, dim int) (sum, largest int64) {
	for i, count := range counts {
		if count > 0 {
			sum, largest = sum+count*d.classes[i].request[dim], max(largest, d.classes[i].request[dim])
		}
	}
	return sum, largest
}

// needed returns the least nodes of a candidate that pods need in any known dimension, by the pods of each class.
func (d *demand) needed(candidate int, counts []int64) int64 {
	nodes := int64(0)
	for dim := range d.dimensions.known {
		sum, _ := d.requested(counts, dim)
		nodes = max(nodes, nodesOf(sum, d.offered[candidate][dim]))
	}
	return nodes
}

func nodesOf(sum, each int64) int64 { return (sum + max(1, each) - 1) / max(1, each) }
