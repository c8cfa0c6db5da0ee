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
// Every real packing satisfies it, so none is cheaper. A second, higher bound asks for nodes whose pods are whole, but still
// not for whole nodes. No packing can win the difference, because its pods do not divide a node.
//
// Neither bound trusts the solver. The package checks a solution of the dual program in a step of its own, scales it until
// it holds, and returns its value. By duality that is a lower bound even where the solver was wrong. The package owns both
// bounds. It must not be imported outside tests.
package bound
