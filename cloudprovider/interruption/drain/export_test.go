package drain

import corev1 "k8s.io/api/core/v1"

// EvictionSlots are what an eviction of the pod waits for.
func (d *Drainer) EvictionSlots(pod *corev1.Pod) []chan struct{} { return d.evictionSlots(pod) }
