// Package awsclients starts an emulated AWS for a test, and points AWS clients at it.
//
// Options give the endpoints to the clients of tests that run side by side, because the environment is one for the whole process. Point sets the
// environment, for a test that runs alone. In a bubble of testing/synctest the clients reach AWS without a port. The package must not be imported outside tests.
package awsclients
