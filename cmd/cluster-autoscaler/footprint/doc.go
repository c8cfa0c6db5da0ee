// Package footprint returns memory that only the start of the process needed.
//
// In a small cluster three quarters of the resident memory are pages of the program's own file, and not the heap. Each linked package
// runs its own initialisation, and the kernel maps 16 pages around each page that is touched. The loops use a small part of these pages.
//
// The package owns the calls to the operating system. It imports neither the core nor any package of this module, because the
// memory belongs to all of them.
package footprint
