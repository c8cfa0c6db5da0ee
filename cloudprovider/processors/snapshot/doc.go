// Package snapshot has the core's snapshot of the cluster, and puts pods on its nodes.
//
// Snapshot keeps the process from ending where pods use resource claims or nodes have CSINodes. The core keeps claims and CSINodes in maps
// that remember each look-up, so reading them writes to them. It reads them from --predicate-parallelism goroutines, and Go ends a process
// that writes to a map twice at once. In this package, goroutines only find entries that one goroutine has looked up before them.
//
// Place is the one way in which our adapters try pods on nodes, and Emptied the one in which pods leave theirs until the scale-up is over.
//
// The package owns the safety of these look-ups and no decision about the cluster. It makes no AWS call and imports none of
// this module's packages, because it stands on the core alone.
package snapshot
