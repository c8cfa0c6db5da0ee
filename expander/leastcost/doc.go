// Package leastcost chooses scale-ups by money: of all ways to give the pending pods a node, the one that costs the least per
// hour.
//
// The Cluster Autoscaler asks its expanders to compare options as if each had to help alone: so many nodes of one group, for
// all the pods that this group could take. The cheapest of them is rarely the cheapest way to place all pods, for
// pods of different shapes belong on different nodes. So a Filter plans first: it takes the pods of all options together,
// packs them on nodes of all the groups, and then returns the option of the one group that its plan gives the most pods,
// cut down to the nodes and pods that the plan has there. The others stay pending, the core's next loop starts at once, and
// finds them with the nodes already asked for counted as there.
//
// A plan is made in two steps. A linear program over packing patterns, with nodes and pods divisible, gives each pod the
// price at which it is best placed; then whole nodes are filled by these prices, and the costliest of them packed anew as
// long as that helps. Package covering solves the program. A plan never costs more than the cheapest single option that
// takes every pod.
//
// A plan puts no pods on one node that required anti-affinity or a port of the host keeps apart. It does not know how pods must spread,
// which pods they must be near, which devices their claims can have, or how many volumes a node can attach. The core does, and filled
// the nodes of its options by it: where they hold fewer such pods than would have room, the plan's nodes hold no more. Where other
// nodes matter, an option lists, and only it, what fits. Where the plan was wrong the core finds pods pending, and there is another raise.
//
// What the nodes were planned for, the core's packing of pending pods does not know; Filter.Places has it put the pods there. The
// scheduler does not know it either: once it binds the pods in its own way, a plan of several kinds of nodes may need more.
//
// A plan has a time limit. When it is over, the cheapest plan found by then counts, or the cheapest option if that places more pods.
// The log and the Explanation say so. Within its limit the same options give the same answer: nothing depends on map order or on
// chance. A Filter starts no goroutine and makes no call. It remembers places between two calls, and belongs on the goroutine of
// the core's loop.
//
// Cost: BenchmarkBestOptions. test/bench/cost measures how much a plan saves.
package leastcost
