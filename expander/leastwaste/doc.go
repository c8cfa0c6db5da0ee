// Package leastwaste chooses the scale-up option that leaves the least idle, and explains why.
//
// The score of an option is the mean of its idle ratios: the share of its CPU, its memory and, where the nodes have any, its
// accelerators that its pods do not request. A node offers its allocatable resources less the pods that run on every node. The
// lowest score wins, with three provisions:
//
//   - Nodes with accelerators that none of the option's pods requests lose to any option without accelerators.
//   - An option loses to one that places more pods and leaves no more of anything idle for each.
//   - Nodes of one shape never offer quite the same memory, for their kubelets measure and reserve differently. The core's own
//     comparison of node groups treats nodes as alike up to 5 % of allocatable. So options share the first place if a memory
//     difference of that size would make their score equal to the lowest. Among these, the options that place the most pods
//     stay. Only the distance from the lowest score counts, so the order of options makes no difference.
//
// Where only CPU and memory count, capacity is allocatable and no two nodes are nearly alike, this is the choice of the Cluster
// Autoscaler's own least-waste expander. Unlike there, a score is always a number, whatever a node claims to offer.
//
// A Filter keeps every option that shares the first place, so the next expander of a chain can choose among them. It holds
// no state, starts no goroutine and makes no call. Devices of dynamic resource allocation count only if they belong to known
// accelerator drivers, and then a claim of a pod counts as one of them.
//
// The package owns the score. It must not import cloudprovider/aws, because an expander works with the node groups of any
// provider, nor the AWS SDK, because every fact about the options is known before.
package leastwaste
