// Package informers makes the informers of the process: what their caches keep, whether they fill, and how they stay up to date.
//
// The caches hold every pod, node and ReplicaSet of the cluster, and are most of the memory in a large one. Trim drops the fields that
// neither the core nor this program reads, and keeps one copy of what the pods of one owner have in common. Only nodes are written
// back: the core taints them, and the API server ignores the status in these writes.
//
// The core reads each API through a cache and does nothing before the cache is filled. A cache never fills if an old API server does
// not know the API, or if the ClusterRole does not grant it. Without the features that SwitchOff knows, the core works as well.
//
// kube-apiserver ends a watch that does not take its events quickly enough (forget in apiserver's storage/cacher/cache_watcher.go),
// which happens in a burst of changes. client-go watches again at once, unless the watch lasted less than a second and brought
// nothing. Then it pauses for 0.8 s to 1.6 s, and for up to twice as long each further time (NewReflectorWithOptions in tools/cache).
// Meanwhile the autoscaler sees neither pods nor nodes. So each watch of pods or nodes brings a bookmark before it ends, and a rate bounds
// how often one begins.
//
// If the API server refuses pods or nodes for minutes, client-go keeps the ones of before. The autoscaler would take a new node for one that
// never came, and terminate it. Blind reports that, so that the process ends.
//
// The package owns the lists of dropped and of shared fields, and the start-up checks of Kubernetes APIs. It makes no AWS call and
// imports no other package of this module but nodemeta, because objects are trimmed before anybody sees them.
package informers
