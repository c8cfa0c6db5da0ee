package leastcost

import (
	"cmp"
	"math"

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

// promised is how many claimed devices or attached volumes the node states that it takes, boundless where it states nothing. Claims may be
// for devices of any driver on the node, so the driver with the fewest counts. It may be too few, where not all volumes count.
func promised(info *framework.NodeInfo, name apiv1.ResourceName) int64 {
	count := int64(0)
	if name == claims {
		devices := map[string]int64{} // by driver
		for _, slice := range info.LocalResourceSlices {
			if len(slice.Spec.Devices) > 0 {
				devices[slice.Spec.Driver] += int64(len(slice.Spec.Devices))
			}
		}
		for _, n := range devices {
			count = min(cmp.Or(count, n), n)
		}
	} else if info.CSINode != nil {
		for _, driver := range info.CSINode.Spec.Drivers {
			if driver.Allocatable != nil {
				count = max(count, int64(ptr.Deref(driver.Allocatable.Count, 0)))
			}
		}
	}
	return cmp.Or(count, boundless)
}

// checkPromises raises promises that the nodes exceed on which the core packed the pods of an option. A promise that is too high has the core
// find pods pending, and the next scale-up is for them.
func (d *demand) checkPromises(candidates []candidate) {
	for c := range candidates {
		for dim := d.dimensions.known; dim < len(d.dimensions.names); dim++ {
			sum, largest := 0, int64(0)
			for _, pod := range candidates[c].option.Pods {
				asked := d.requests[d.index[pod]][dim]
				sum, largest = sum+int(asked), max(largest, asked)
			}
			d.offered[c][dim] = max(d.offered[c][dim], largest, int64(mean(sum, candidates[c])))
		}
	}
}
