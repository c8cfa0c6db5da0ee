package leastwaste

import (
	"maps"
	"strings"

	apiv1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// The names of NVIDIA's device plugin where a GPU is divided: one name for each size of its parts, and one for the GPUs that are
// whole (github.com/NVIDIA/k8s-device-plugin, strategy "mixed", read 2026-11).
const (
	partPrefix = "nvidia.com/mig-"
	wholeGPU   = "nvidia.com/gpu"
)

func publishedBy(info *framework.NodeInfo) apiv1.ResourceList {
	if status := info.Node().Status; len(status.Allocatable) > 0 {
		return status.Allocatable
	}
	return info.Node().Status.Capacity
}

func acceleratorsIn(list apiv1.ResourceList) apiv1.ResourceList {
	found := maps.Clone(list)
	maps.DeleteFunc(found, func(name apiv1.ResourceName, q resource.Quantity) bool {
		return !nodetemplate.IsAccelerator(name) || q.Value() <= 0
	})
	return found
}

type accelerators struct {
	name  string // resource or driver by which pods ask for them, "" for none
	count int64
	units map[apiv1.ResourceName]float64 // how many accelerators one of each resource is
	// shared is set where a driver shares accelerators out. At zero nodes a group may seem to have them by count, too.
	shared bool
}

// acceleratorsOf counts a node's accelerators. The parts of divided GPUs count one each, beside the GPUs that are whole. Any other
// names are several for the same devices, as Neuron has them: the one with the fewest counts and, of those, the first. Where
// dynamic resource allocation alone shares the devices out, the name is their driver's.
func acceleratorsOf(info *framework.NodeInfo) accelerators {
	list := acceleratorsIn(publishedBy(info))
	if len(list) == 0 { // a device that is broken, or kept from pods for a time, is there all the same
		list = acceleratorsIn(info.Node().Status.Capacity)
	}
	a := accelerators{units: map[apiv1.ResourceName]float64{}}
	parts := int64(0)
	for resource, quantity := range list {
		n := quantity.Value()
		if strings.HasPrefix(string(resource), partPrefix) {
			parts += n
		}
		if a.count == 0 || n < a.count || n == a.count && string(resource) < a.name {
			a.name, a.count = string(resource), n
		}
	}
	if parts > 0 {
		whole := list[wholeGPU]
		a.count = parts + whole.Value()
	}
	for resource, quantity := range list {
		switch part := strings.HasPrefix(string(resource), partPrefix) || resource == wholeGPU; {
		case parts == 0:
			a.units[resource] = float64(a.count) / float64(quantity.Value())
		case part:
			a.units[resource] = 1
		}
	}
	driver, devices := devicesIn(info.LocalResourceSlices)
	a.shared = driver != ""
	if a.count == 0 {
		a.name, a.count = driver, devices
	}
	return a
}

// devicesIn counts the first driver's devices. Those with the same counters count as one, for they are the ways to divide one GPU.
func devicesIn(list []*resourceapi.ResourceSlice) (driver string, count int64) {
	divided := map[string]bool{}
	for _, slice := range list {
		if !nodetemplate.SharesAccelerators(slice.Spec.Driver) || driver != "" && slice.Spec.Driver != driver {
			continue
		}
		driver = slice.Spec.Driver
		for _, device := range slice.Spec.Devices {
			if len(device.ConsumesCounters) == 0 {
				count++
			}
			for _, from := range device.ConsumesCounters {
				divided[slice.Spec.Pool.Name+"/"+from.CounterSet] = true
			}
		}
	}
	return driver, count + int64(len(divided))
}

// used counts what the pods ask for: at least 1 if any pod asks for one, or a part of one, and never more than there are. Where a driver
// shares the devices out, each claim of a pod counts as one of them.
func (a accelerators) used(pods []*apiv1.Pod, nodes int, requests requestCache) int64 {
	total := 0.0
	for _, pod := range pods {
		for name, quantity := range requests.of(pod).accelerators {
			total += float64(quantity.Value()) * a.units[name]
		}
		if a.shared {
			total += float64(len(pod.Spec.ResourceClaims))
		}
	}
	if total > 0 && total < 1 {
		return 1
	}
	return min(int64(total), a.count*int64(nodes))
}
