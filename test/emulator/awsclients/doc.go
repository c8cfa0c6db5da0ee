// Package awsclients configures AWS clients of tests that run side by side.
//
// It owns their endpoints, because the environment, which usually names the endpoint, is one for the whole process. It must
// not be imported outside tests.
package awsclients
