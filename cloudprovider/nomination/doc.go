// Package nomination has kube-scheduler put pods on the nodes that were asked for them.
//
// When a node registers, the pods that are planned for it (package plan) get its name as status.nominatedNodeName, mostly before the
// node is Ready. kube-scheduler tries that node first, and keeps its room free from other pods of the same or a lower priority.
// kube-scheduler removes the name whenever it tries the pod while the node cannot take it yet, so the name is written again, less and
// less often. A nomination by anybody else stays as it is. A nomination of ours is removed when the pod is planned anew, when the node
// goes, does not become ready in time or does not take the pod, and when the pod got another node.
//
// The package owns these nominations and their goroutines, which Run ends. It needs the permission to patch pods/status, and does
// nothing without it. It must not import the core.
package nomination
