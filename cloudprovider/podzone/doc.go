// Package podzone finds the zone in which a pod has to run, and the field of the pod or of its volumes that decides it.
//
// It owns the meaning of these fields. It works on the objects it is given: it makes no call, starts no goroutines and changes nothing. It
// must not import the AWS SDK, because a pod states its zone in Kubernetes alone, nor the core, whose interfaces only adapters may follow.
package podzone
