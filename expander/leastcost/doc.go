// Package leastcost chooses scale-ups by money: of all ways to give the pending pods a node, the one that costs the least per hour.
//
// The Cluster Autoscaler asks its expanders to compare options as if each had to help alone: so many nodes of one group, for all the pods
// that this group could take. The cheapest option is rarely the cheapest way to place all pods, for pods of different shapes belong on
// different nodes. So a Filter plans first: it takes the pods of all options together and packs them on nodes of all the groups. Then it
// returns the option of the group to which its plan gives the most pods, cut down to the planned nodes and pods. The others stay pending.
// The core's next loop starts at once and counts the requested nodes as present.
//
// A plan is made in three steps. Each pod is worth its share of the node on which that is cheapest, and nodes are filled by these
// values. Then the nodes are filled again by the prices that the pods had in the last plan, some times. Last, the costliest nodes are
// packed anew as long as that helps. A plan never costs more than the cheapest single option that takes every pod.
//
// A plan keeps the limits of a node that the pods and templates state. It does not know which pods others must be near, or how pods
// spread over zones. The core knows, and filled the nodes of its options accordingly: the planned nodes hold no more such pods than
// those (limits, checkPromises). Where other nodes matter, only an option's own list of pods counts. Where the plan was wrong the
// core finds pods pending, and scales up again. If pending pods must be near each other there is no plan: of the options with the most of
// these pods the one with the lowest cost for what its pods are worth counts, with the nodes that the core filled.
//
// A plan of several groups is asked for by several calls, in one loop or in one after the other. While the pods that are left
// are the plan's, and its groups take them, the plan goes on: its raises add up to the plan.
//
// Neither the core nor kube-scheduler knows the plan when it packs pending pods. podlist.FreeRoom shows it to the core, and
// cloudprovider/plan/nomination to kube-scheduler. Without them a plan of several kinds of nodes may need more nodes.
//
// A plan has a time limit. At its end the cheapest plan so far counts, or an option that places more pods if each costs less there. The log and
// the Explanation say so. Within its limit the same options give the same answer: nothing depends on map order or on chance. A Filter starts
// no goroutine and makes no call. It remembers the rest of a plan between two calls, and belongs on the goroutine of the core's loop.
//
// The package owns the plans. It must not import cloudprovider/aws, because an expander works with the node
// groups of any provider, nor the AWS SDK, because every fact about the options is known before.
//
// Cost: BenchmarkBestOptions. test/bench/cost measures how much a plan saves.
package leastcost
