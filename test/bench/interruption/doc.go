// Package interruption measures how soon the autoscaler cordons and drains many nodes, and terminates their spot instances,
// when all are warned at the same moment. It uses a real control plane and the emulated AWS account.
//
//	make bench-interruption                                     # 100 nodes of 3 pods each
//	make bench-interruption PODS=20000 DAEMONSETS=10 HELD=1     # the same in a crowded namespace
//
// -pods adds pods on a node of their own until the namespace has so many. -daemonsets puts a pod of each on every node. -held puts pods on
// so many of the warned nodes whose disruption budget Kubernetes cannot compute: the API server answers their evictions with 429 and
// Retry-After for as long as they are requested. Every other node must be drained before its deadline, with less than one core.
//
// The clock starts when the first warning is put into the queue. Pods take two seconds to end and a budget lets three in ten go at a time.
// New nodes register three seconds after their launch, so the budget, which waits for them, dominates the last measurement. It leaves out
// the latency of SQS, EventBridge and a real API server, and the minute that a real node takes to boot.
//
// The package owns the measurements. Package scenario runs the autoscaler.
package interruption
