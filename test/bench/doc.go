// Command bench runs one of the benches. The Makefile's targets bench-NAME call it with their variables as flags.
//
//	go run -tags externalgrpc ./test/bench NAME [-FLAG...]
//	go run -tags externalgrpc ./test/bench NAME -help
//
// The exit code is 0, 1 if something could not be run, 2 for wrong usage, or what the bench says beside these. Only bench-fleet is no part of
// this program, because it simulates time as a test does.
package main
