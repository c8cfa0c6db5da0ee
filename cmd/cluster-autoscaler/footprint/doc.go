// Package footprint keeps the process small: it has garbage collected early.
//
// In a large cluster the heap is most of the memory. Garbage may take a quarter of what the first 32 MiB of objects in use take, and as much
// again as the others: to collect it more often would make the loops of a large cluster slower. Near the memory limit of the container it is
// collected sooner, because the kernel ends a process that exceeds the limit.
//
// The package owns the settings of the garbage collector. It imports neither the core nor any
// package of this module, because the memory belongs to all of them.
package footprint
