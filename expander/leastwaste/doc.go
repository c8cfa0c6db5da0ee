// Package leastwaste chooses the scale-up option that leaves the least idle, and can say why.
//
// The score of an option is the mean of its idle ratios: the share of the CPU, the memory and, where the nodes have any, the
// accelerators it offers that its pods do not ask for. Offered is what is allocatable on the new nodes once the pods
// that run on every node have theirs. The lowest score wins, with three provisions:
//
//   - Nodes whose accelerators none of the option's pods asks for lose to any option without accelerators.
//   - An option loses to one that places more pods and leaves no more of anything idle for each.
//   - Nodes of one shape never offer quite the same memory: what their kubelets measure and reserve differs. The core's own
//     comparison of node groups takes nodes to be alike up to 5 % of what is allocatable, so options whose scores
//     that much less memory would make equal to the lowest share the first place: those of them that place the most pods.
//     It is the share of the lowest score alone that counts, so the order of options makes no difference.
//
// Where CPU and memory are all there is, capacity is allocatable and no two nodes are nearly alike, this is the choice of the
// Cluster Autoscaler's own least-waste expander; unlike there, a score is always a number, whatever a node claims to offer.
//
// A Filter keeps every option that shares the first place, so that the next expander of a chain can choose among them.
// It holds no state, starts no goroutine and makes no call. It reads resource claims from the core's snapshot of the cluster, and so
// belongs on the goroutine of the core's loop. Of the devices that pods claim, only those of known accelerator drivers count.
package leastwaste
