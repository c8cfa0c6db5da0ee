// Package drain moves the pods off a node whose instance is about to be terminated, in the time that is left.
//
// It evicts pods through the API server, so disruption budgets and grace periods hold, and it retries where a budget refuses.
// Pods of DaemonSets, static pods and finished pods stay. In the last seconds, if the plan says so, it deletes the pods that could
// not be evicted, with the grace that is left, and marked as evictions mark them for Jobs. Otherwise the instance would end them without grace.
//
// Every call has its own deadline and is made once, so an API server that answers "retry after ten seconds" delays one pod.
// Unanswered evictions delay others of their controller only when evictionsAtOnce of them are under way, and other pods when
// evictionsInAll are, and only until their deadline. They never delay a deletion.
//
// A Drainer waits for the goroutines it starts. It keeps no state of a drain, so an interrupted drain simply starts again.
// The package owns the evictions. It must not import the AWS SDK or the core, because pods are moved in Kubernetes alone.
package drain
