// Package podlist decides which pods count as pending in a loop, and which of them have a node already.
//
// Each type is a pods.PodListProcessor of the core. The core's loop alone uses it: it runs them one after the other before it scales up.
// Their order is in cmd/cluster-autoscaler/process/wiring.go.
//
// The package owns the list of pending pods and no decision about which node group grows. It makes no AWS call and imports neither the SDK
// nor awsclient.
package podlist
