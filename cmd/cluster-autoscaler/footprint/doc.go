// Package footprint keeps the process small: it returns memory that only the start needed, and has garbage collected early.
//
// In a small cluster three quarters of the resident memory are pages of the program's own file, and not the heap. Each linked package
// runs its own initialisation, and the kernel maps 16 pages around each page that is touched. The loops use a small part of these pages.
//
// In a large cluster the heap is most of the memory. Garbage may take a quarter of what the first 32 MiB of objects in use take, and as much
// again as the others: to collect it more often would make the loops of a large cluster slower. Near the memory limit of the container it is
// collected sooner, because the kernel ends a process that exceeds the limit.
//
// The package owns the calls to the operating system, and the settings of the garbage collector. It imports neither the core nor any
// package of this module, because the memory belongs to all of them.
package footprint
