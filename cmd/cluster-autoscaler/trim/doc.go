// Package trim makes cached objects small: it drops the fields that neither the core nor this program reads, and keeps one copy of what
// the pods of one owner have in common.
//
// The caches hold every pod, node and ReplicaSet of the cluster, and are most of the memory in a large one. Only nodes are written back: the
// core taints them, and the API server ignores the status in these writes.
//
// The package owns the lists of dropped and of shared fields. It imports neither the core nor any package of this module, because objects are
// trimmed before anybody sees them.
package trim
