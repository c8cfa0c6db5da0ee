package instancetypes

// Extended resources under which the vendors' device plugins publish accelerators and network interfaces.
const (
	ResourceNVIDIA     = "nvidia.com/gpu"
	ResourceAMD        = "amd.com/gpu"
	ResourceGaudi      = "habana.ai/gaudi"
	ResourceNeuron     = "aws.amazon.com/neuron"
	ResourceNeuronCore = "aws.amazon.com/neuroncore"
	ResourceEFA        = "vpc.amazonaws.com/efa"
	ResourcePodENI     = "vpc.amazonaws.com/pod-eni"
)

// AcceleratorLabel is the node label by which the Cluster Autoscaler on AWS distinguishes GPU nodes and their models. EC2 and
// EKS do not set it. A node has it only if its bootstrap or node group sets it.
const AcceleratorLabel = "k8s.amazonaws.com/accelerator"

// gpuResources maps a manufacturer, as EC2 spells it, to its device plugin's resource.
var gpuResources = map[string]string{"NVIDIA": ResourceNVIDIA, "AMD": ResourceAMD, "Habana": ResourceGaudi}

// Accelerator returns the extended resource that a node of this type publishes once its device plugin runs, and its number. It
// returns "" and 0 for a type without accelerators, or of a vendor whose resource is unknown.
func (t Type) Accelerator() (resource string, count int) {
	name, known := gpuResources[t.GPU.Manufacturer]
	switch {
	case t.GPU.Count > 0 && known:
		return name, t.GPU.Count
	case t.GPU.Count == 0 && t.NeuronDevices > 0:
		return ResourceNeuron, t.NeuronDevices
	}
	return "", 0
}

// Accelerators returns the number of each resource, by name, under which a node of this type publishes its accelerators once
// their device plugin runs. A Neuron device and its cores are the same hardware under two names.
func (t Type) Accelerators() map[string]int {
	counts := map[string]int{}
	if name, count := t.Accelerator(); count > 0 {
		counts[name] = count
	}
	if t.NeuronCores > 0 {
		counts[ResourceNeuronCore] = t.NeuronCores
	}
	return counts
}
