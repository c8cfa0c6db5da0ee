package instancetypes

import (
	"slices"
	"strings"
)

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
var gpuResources = map[string]string{
	"NVIDIA": ResourceNVIDIA,
	"AMD":    ResourceAMD,
	"Habana": ResourceGaudi,
}

// labelValues holds the models whose customary label value is not simply manufacturer and model. The stock autoscaler
// lists the first five with "tesla" in them.
var labelValues = map[string]string{
	"NVIDIA K80":          "nvidia-tesla-k80",
	"NVIDIA P100":         "nvidia-tesla-p100",
	"NVIDIA V100":         "nvidia-tesla-v100",
	"NVIDIA T4":           "nvidia-tesla-t4",
	"NVIDIA A100":         "nvidia-tesla-a100",
	"NVIDIA M60":          "nvidia-tesla-m60",
	"NVIDIA K520":         "nvidia-grid-k520",
	"Habana Gaudi HL-205": "habana-gaudi",
}

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

// Resource is an extended resource and how many of it a node publishes.
type Resource struct {
	Name  string
	Count int
}

// Accelerators returns, by name, every resource under which a node of this type publishes its accelerators once their
// device plugin runs. A Neuron device and its cores are the same hardware under two names.
func (t Type) Accelerators() []Resource {
	name, count := t.Accelerator()
	var resources []Resource
	for _, r := range []Resource{{name, count}, {ResourceNeuronCore, t.NeuronCores}} {
		if r.Name != "" && r.Count > 0 {
			resources = append(resources, r)
		}
	}
	return resources
}

// LabelValue returns the value customary for AcceleratorLabel on nodes with this GPU, such as "nvidia-tesla-t4" or
// "nvidia-h100", or "" without a GPU.
func (g GPU) LabelValue() string {
	if g.Manufacturer == "" || g.Name == "" {
		return ""
	}
	model := g.Manufacturer + " " + g.Name
	if v, ok := labelValues[model]; ok {
		return v
	}
	return slug(model)
}

// slug turns a model's name into a label value: lower case, runs of anything else than letters and digits as one dash.
func slug(s string) string {
	words := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	return strings.Join(words, "-")
}

// AcceleratorLabelValues returns, sorted, the values of AcceleratorLabel for every GPU model in the catalogue.
func (c *Catalogue) AcceleratorLabelValues() []string {
	var values []string
	for _, t := range c.types {
		if v := t.GPU.LabelValue(); v != "" {
			values = append(values, v)
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}
