// Command licences reads the licences of all modules that are linked into the product's binaries, and of Go's standard library.
//
//	licences -root DIR    prints the table of docs/licences.md
//
// It reads the files LICENSE, COPYING and NOTICE of each linked package's folder and of those above it, as far up as the module's
// root. It exits with 1 and names the module if a module has no licence file, or if a file's licence is not recognised or not
// on the list of permitted ones.
package main
