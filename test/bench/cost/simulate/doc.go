// Package simulate runs the Cluster Autoscaler's own scale-up, loop after loop, until every pod of a mix that can run has a
// node, and returns those nodes. There is no cluster and no AWS.
//
// It runs the core's orchestrator, the estimator with the limits of the default flags, the cluster snapshot with the
// scheduler's filters, the processors that our binary installs, and the expander under test. Only the world is replaced. None
// of the requested nodes joins and no pod is bound, as in a burst: each loop takes out the pods that have a place on the nodes
// so far, and scales up for the others. Package wholeway has a real kube-scheduler bind the pods.
//
// The package owns the loop, and no decision of the core.
package simulate
