// Package lifecycle holds what a process does from its start to its end whatever its work is: the lease, the end of its parts, and the
// memory limit.
//
// When the process stops, the work ends first and the lease is released after. So no other replica writes beside this one, and
// the next one need not wait for the lease to run out. When the lease is lost, the caller learns of it at once and is
// expected to exit. The parts of the process end one after the other, within a bound for each.
//
// In a large cluster the heap is most of the memory. Garbage may take a quarter of what the first 32 MiB of objects in use take, and
// as much again as the others: to collect it more often would make the loops of a large cluster slower. Near the memory limit of the
// container it is collected sooner, because the kernel ends a process that exceeds the limit.
//
// The package owns the lease and the settings of the garbage collector. It imports neither the core nor any package of this
// module, because it knows nothing about the work.
package lifecycle
