// Package model prices nodes and pods for the Cluster Autoscaler's core.
//
// A node of one of our groups costs as much as the group's next instance: by its policy, its allocation strategy, and its
// present instances. The groups know their nodes, so nothing is guessed from names. A node of an unknown type, and a pod, cost
// as much as similar types charge for CPU, memory and accelerators. Neither question ever fails.
//
// A Model makes no call and starts no goroutine. It is safe for concurrent use if its sources are. The package owns the
// core's questions about prices. It alone in pricing may import the core, and it must not import anything of test.
package model
