// Package covering solves one kind of linear program: to cover demands at the least cost by amounts of columns, of which there
// are too many to list.
//
// A column covers some rows some number of times, has a cost, and belongs to a pool with a limited amount:
//
//	minimise    Σ cost(j)·x(j) + penalty·Σ u(i)
//	subject to  Σ covers(j,i)·x(j) + u(i) ≥ demand(i)   for each row i
//	            Σ x(j) ≤ limit(p)                       for each pool p, over its columns
//	            x, u ≥ 0
//
// Bin packing is of this kind: a row is a sort of item, a column one way to fill a bin. Demand that no column covers stays
// uncovered, u, at a penalty, so every program has a solution. The columns come from a generator. The solver asks it for better
// ones at the present prices until it has none (Gilmore and Gomory 1961).
//
// The method is the revised simplex method with a dense inverse, for at most a few hundred rows. The libraries for Go give
// no dual prices, and column generation needs them. The method is deterministic. The package owns the solver and no pattern.
// It must not import Kubernetes, because a linear program needs none.
package covering
