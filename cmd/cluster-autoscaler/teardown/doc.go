// Package teardown ends the parts of a process one after the other, within a bound for each.
//
// It owns the order and the bounds. It imports neither the core nor any package of this module, because it knows nothing
// about the parts.
package teardown
