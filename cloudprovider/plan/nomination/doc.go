// Package nomination has kube-scheduler put pods on the nodes that were asked for them.
//
// When a node becomes Ready, the pods that are planned for it (package plan) get its name as status.nominatedNodeName. kube-scheduler tries
// that node first, and keeps its room free from other pods of the same or a lower priority. The name is written while the node's not-ready
// taint is still there, so that it comes before kube-scheduler uses the node. kube-scheduler removes the name if it tries the pod too early.
// Then the pod gets it once more when the node can take it, and a pod that claims devices whenever it is removed within a minute.
//
// A pod that still runs, on a node that is drained or replaced, is planned and not nominated.
//
// Pods of a node group that are all alike are not nominated, if no planned pod of another kind can run there: each fits wherever another one
// does.
//
// A nomination by anybody else stays as it is. A nomination of ours is removed when the pod is planned for another node or for none, when the
// node goes, is cordoned, or does not take the pod in time.
//
// The package owns these nominations and their goroutines, which Run ends. It changes no node. It needs the permission to patch pods/status,
// and does nothing without it. It must not import the core.
//
// Decisions: docs/adr/nodes-are-not-held.md.
package nomination
