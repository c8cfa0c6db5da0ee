// Package wholeway runs a mix of pods the whole way: from their creation, through a real autoscaler and kube-scheduler, until all
// of them run, and returns the fleet's cost and the times on the way.
//
// Each run has a control plane and an emulated account of its own. The account has the groups of the mix at zero, with tags that
// describe their nodes, and nodes that register as on EKS. A price file gives our autoscaler the prices of the mix. The pods come
// from ReplicaSets, or from StatefulSets if they have volumes. kube-proxy runs on each node, as on EKS. The bench plays NVIDIA's
// driver where pods claim devices.
//
// The bound is the one of package bound, but for the nodes that really register, so it does not depend on the autoscaler's
// templates. The package owns the set-up, the observation and the end of a run.
package wholeway
