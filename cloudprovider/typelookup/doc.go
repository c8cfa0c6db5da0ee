// Package typelookup asks EC2 what instance types offer that the catalogue does not know: one call per hundred types.
//
// It owns the call and the translation of its answers, keeps nothing and starts no goroutines. It must not import the core,
// because asgctl uses it, too.
package typelookup
