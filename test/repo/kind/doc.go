// Command kind installs the chart in a kind cluster, with the image that `make image` has built. It needs docker, kubectl, and a cluster
// and a registry as helm/kind-action starts them.
//
// An emulated AWS listens where pods reach it. The command ends well if the pods of the release become Ready, which needs an image that
// a real kubelet starts, probes that answer, and a first reading of the groups. It scales nothing, because a node of kind is no instance.
package main
