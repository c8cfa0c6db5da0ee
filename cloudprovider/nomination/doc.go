// Package nomination has kube-scheduler put pods on the nodes that were asked for them.
//
// When a node registers, the pods that are planned for it (package plan) get its name as status.nominatedNodeName. kube-scheduler tries
// that node first, and keeps its room free from other pods of the same or a lower priority. It removes the name whenever it tries the pod
// while the node cannot take it yet. Each such removal, and each change of a node's taints, has it try other waiting pods. So many pods
// and nodes at once would lose their nominations as fast as they are written. Where pods are planned for several nodes, these are
// therefore held: cordoned before they are Ready, and uncordoned together once their pods are nominated.
//
// A nomination by anybody else stays as it is. A nomination of ours is removed when the pod is planned anew, when the node goes, does not
// become ready in time, does not take the pod or has no room for it any more.
//
// The package owns these nominations and their goroutines, which Run ends. It needs the permission to patch pods/status, and does
// nothing without it. It must not import the core.
package nomination
