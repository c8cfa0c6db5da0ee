// Package permissions fills in the IAM policies of the manifests, for tests that run the autoscaler under them.
//
// Its own tests run the program under the policies less one action each. It starts nothing, and its functions are safe for concurrent use.
package permissions
