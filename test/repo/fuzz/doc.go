// Command fuzz runs every fuzz target of the module for -fuzztime, as many at once as there are processors. A target that needs this time for the
// inputs known before gets more. It finds the targets itself, so a new one needs no entry anywhere.
//
// It exits with 1 if a target fails, after all others have run. The go command then prints the input and keeps it below
// testdata/fuzz of the target's package, where it is a case of every later test.
package main
