// Package bound computes a lower bound for the cost of packing a set of pods onto nodes.
//
// Pods of one kind c ask for r(c,d) of each resource d and come d(c) times. Nodes of group g cost p(g) per hour, offer a(g,d)
// after the pods that run on every node, and there can be m(g) of them. The bound is the fractional packing: with n(g) nodes
// and x(c,g) pods of kind c on group g, neither of them whole,
//
//	minimise    Σ p(g)·n(g)
//	subject to  Σ x(c,g) ≥ d(c)              for each kind, over the groups that can take it
//	            Σ r(c,d)·x(c,g) ≤ a(g,d)·n(g) for each group and resource
//	            n(g) ≤ m(g), all ≥ 0
//
// Every real packing satisfies it, so none is cheaper.
//
// The package does not trust its solver. It checks a solution of the dual program in a step of its own, scales it until it holds, and
// returns its value. By duality that is a lower bound even where the solver was wrong. It must not be imported outside tests.
package bound
