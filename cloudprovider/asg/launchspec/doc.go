// Package launchspec resolves what an Auto Scaling group starts its next instance from: launch template versions or a launch
// configuration, machine images, the EKS node group, and the instance types that attribute requirements select. It also sees whether EKS or an
// instance refresh is at work on the group's instances.
//
// A Resolver owns the look-ups at EC2, EKS and Auto Scaling and their memo. It calls AWS only for what is unknown, expired or suspected
// to have changed. It starts no goroutine that outlives a call.
//
// The package must not import asg, which stands on it, nor cooldown, because a launch specification does not depend on past
// failures. It knows no Kubernetes type.
package launchspec
