// Package leader does work while it holds a lease, and gives the lease back when the work has ended.
//
// When the process stops, the work ends first and the lease is released after. So no other replica writes beside this one, and
// the next one need not wait for the lease to run out. When the lease is lost, the caller learns of it at once and is
// expected to exit.
//
// The package owns the lease. It imports neither the core nor any package of this module, because it knows nothing about the
// work.
package leader
