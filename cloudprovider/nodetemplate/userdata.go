package nodetemplate

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// UserData holds the settings that a launch template's user data gives the node. Package userdata reads it.
type UserData struct {
	// Form names the form of the user data for Source.Detail: "bootstrap.sh", "nodeadm NodeConfig", …, or "".
	Form string

	Labels  map[string]string
	Taints  []corev1.Taint
	MaxPods int // 0 when it states none
	// MostPods bounds the pods where MaxPods is 0, unless it is 0 as well: one of several launch templates or branches states it.
	MostPods    int
	PodsPerCore int // bounds the pods by the CPUs of the type, 0 when it states none
	// IgnoreAddresses makes the image not limit pods by the addresses of its network interfaces (bootstrap.sh --use-max-pods
	// false, or no bootstrap of EKS). Where MaxPods is 0, kubelet's own default holds.
	IgnoreAddresses bool
	// PodsExpression computes the number of pods where MaxPods is 0. Memory is reserved for its result even where MaxPods has
	// another number.
	PodsExpression PodsExpression

	KubeReserved   Reservation
	SystemReserved Reservation
	EvictionHard   Thresholds
}

// Reservation is the CPU, memory and ephemeral storage that kubelet is configured to keep from pods.
type Reservation struct {
	Resources corev1.ResourceList
	// Whole means that this replaces the image's own reservation. Otherwise the image's amounts stay for resources that are not named.
	Whole bool
}

// of returns the reserved amount of a resource. usual is the image's own.
func (r Reservation) of(name corev1.ResourceName, usual int64) int64 {
	q, ok := r.Resources[name]
	switch {
	case ok && name == corev1.ResourceCPU:
		return q.MilliValue()
	case ok:
		return q.Value()
	case r.Whole:
		return 0
	}
	return usual
}

// Thresholds are the free amounts below which kubelet evicts pods, by signal such as "memory.available".
type Thresholds struct {
	Signals map[string]Threshold
	Whole   bool         // as in Reservation
	Others  []Thresholds // of other launch templates or branches: the largest counts
}

// Threshold is an amount, or a ratio of the capacity where Ratio is above zero.
type Threshold struct {
	Quantity resource.Quantity
	Ratio    float64 // 0 to 1
}

// of returns the threshold in bytes. usual is the image's own.
func (t Thresholds) of(signal string, capacity, usual int64) int64 {
	threshold, ok := t.Signals[signal]
	bytes := usual
	switch {
	case ok && threshold.Ratio > 0:
		bytes = int64(float64(capacity) * float64(float32(threshold.Ratio)))
	case ok:
		bytes = threshold.Quantity.Value()
	case t.Whole:
		bytes = 0
	}
	for _, other := range t.Others {
		bytes = max(bytes, other.of(signal, capacity, usual))
	}
	return bytes
}
