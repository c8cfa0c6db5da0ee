// Package awsclient makes the AWS clients of the autoscaler and judges what AWS answered.
//
// It settles in one place which region is asked, at which endpoint (the SDK's own, one of the SDK's environment
// variables, or a ServiceOverride of the cloud configuration), how often a call is tried again, what is counted of
// it, and what an error code means. Everything else takes the SDK's clients through small interfaces of its own and
// asks IsThrottled, IsDenied and IsNotFound rather than comparing codes. It starts no goroutines.
package awsclient
