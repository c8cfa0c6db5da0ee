package nodetemplate

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// UserData is what a launch template's user data makes of the node; package userdata reads it.
type UserData struct {
	// Form names what was read, for Source.Detail: "bootstrap.sh", "nodeadm NodeConfig", …; may be empty.
	Form string

	Labels  map[string]string
	Taints  []corev1.Taint
	MaxPods int // 0 when it does not say
	// IgnoreAddresses tells the image not to limit pods by the addresses of its network interfaces (bootstrap.sh
	// --use-max-pods false): where MaxPods is 0, kubelet's own default holds.
	IgnoreAddresses bool
	// PodsExpression computes the number of pods where MaxPods is 0. Memory is reserved for its result even where MaxPods says
	// another number.
	PodsExpression PodsExpression

	KubeReserved   Reservation
	SystemReserved Reservation
	EvictionHard   Thresholds
}

// Reservation is what kubelet is told to keep from pods: CPU, memory and ephemeral storage.
type Reservation struct {
	Resources corev1.ResourceList
	// Whole tells that this replaces what the image reserves by itself; otherwise the image's amounts stay for those
	// resources that are not named.
	Whole bool
}

// of returns what is reserved of a resource; usual is what the image reserves by itself.
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
	Whole   bool // as in Reservation
}

// Threshold is an amount, or a ratio of the capacity where that is above zero.
type Threshold struct {
	Quantity resource.Quantity
	Ratio    float64 // 0 to 1
}

// of returns the threshold in bytes; usual is the image's own.
func (t Thresholds) of(signal string, capacity, usual int64) int64 {
	threshold, ok := t.Signals[signal]
	switch {
	case ok && threshold.Ratio > 0:
		return int64(float64(capacity) * float64(float32(threshold.Ratio)))
	case ok:
		return threshold.Quantity.Value()
	case t.Whole:
		return 0
	}
	return usual
}
