// Package trim drops the fields of cached objects that neither the core nor this program reads.
//
// The caches hold every pod and node of the cluster, and are most of the memory in a large one. No pod is written back. The core writes nodes
// back, to taint them, and the API server ignores the status in these writes.
//
// The package owns the list of dropped fields. It imports neither the core nor any package of this module, because objects are
// trimmed before anybody sees them.
package trim
