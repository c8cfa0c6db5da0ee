package leastwaste

import (
	"slices"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// acceleratorDrivers share accelerators out by dynamic resource allocation.
var acceleratorDrivers = []string{"gpu.nvidia.com", "gpu.amd.com", "gpu.intel.com", "neuron.aws.com"}

// publishedBy are the resources that the node has for pods.
func publishedBy(info *framework.NodeInfo) apiv1.ResourceList {
	if status := info.Node().Status; len(status.Allocatable) > 0 {
		return status.Allocatable
	}
	return info.Node().Status.Capacity
}

// acceleratorsIn are the accelerators of a list; nil for none.
func acceleratorsIn(list apiv1.ResourceList) apiv1.ResourceList {
	var found apiv1.ResourceList
	for name, quantity := range list {
		if !nodetemplate.IsAccelerator(name) || quantity.Value() <= 0 {
			continue
		}
		if found == nil {
			found = apiv1.ResourceList{}
		}
		found[name] = quantity
	}
	return found
}

// acceleratorsOf is the resource under which a node offers its accelerators, and how many. Of several names for the same
// devices, as Neuron has them, it is the one with the fewest and, of those, the first; where the devices are shared out by
// dynamic resource allocation alone, the name of their driver.
func acceleratorsOf(info *framework.NodeInfo) (name string, count int64) {
	for resource, quantity := range acceleratorsIn(publishedBy(info)) {
		if n := quantity.Value(); count == 0 || n < count || n == count && string(resource) < name {
			name, count = string(resource), n
		}
	}
	if count > 0 {
		return name, count
	}
	for _, slice := range info.LocalResourceSlices {
		if driver := slice.Spec.Driver; slices.Contains(acceleratorDrivers, driver) {
			name, count = driver, count+int64(len(slice.Spec.Devices))
		}
	}
	return name, count
}

// accelerators is how many of the node's accelerators the pods ask for, as acceleratorsOf counts them: at least 1 if any
// pod asks for one, or a part of one. Under another of the node's names for its devices, the same share of them counts. A
// claim of dynamic resource allocation counts as one device.
func (c requestCache) accelerators(pods []*apiv1.Pod, info *framework.NodeInfo) int64 {
	published := publishedBy(info)
	_, each := acceleratorsOf(info)
	total := 0.0
	for _, pod := range pods {
		total += float64(len(pod.Spec.ResourceClaims))
		for name, quantity := range c.of(pod).accelerators {
			if offered := published[name]; offered.Value() > 0 {
				total += float64(quantity.Value()) * float64(each) / float64(offered.Value())
			}
		}
	}
	if total > 0 && total < 1 {
		return 1
	}
	return int64(total)
}
