// Package cooldown remembers what is left alone after a failure, why, and until when: pools in which a launch failed, zones under a zonal
// shift, and calls that AWS does not answer.
//
// A List keeps the cool-downs of pools, Shifts the shifted zones, a Breaker the unanswered calls. The package also classifies AWS's scaling
// activities, because most failures show there first. It starts no goroutine: its caller runs Shifts, and calls Want while a group
// enables zonal shift, or its cluster may be of EKS.
//
// The package must not import asg, which stands on it, nor launchspec, because a cool-down is about pools, whatever a group
// would launch there. It knows no Kubernetes type.
package cooldown
