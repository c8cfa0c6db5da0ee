// Package awsworld runs a real aws.Provider over the emulated AWS, for tests of the adapters on top of it.
//
// A World owns its emulator, its Provider and their goroutines, all of which end with the test. Production must not import it.
package awsworld
