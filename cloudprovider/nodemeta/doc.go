// Package nodemeta reads what the objects of a node say about it: its instance, whether it is Ready, its pods, and what the autoscaler has
// noted on a simulated node.
//
// It owns the format of provider IDs. The zone in one is a hint and no part of the instance's identity: kubelets and cloud controllers
// leave it empty or out. Compare instances, never whole provider IDs. It owns the names of the annotations and labels that one
// adapter of the core writes and another reads. None of these is ever written to the cluster. It reads the annotations by which pods and nodes
// ask to be left alone, and by which people ask for the removal of a node. The package imports nothing of the
// project, and must import neither the core nor the AWS SDK, because every layer uses it.
package nodemeta
