// Package batch makes one call for everything that several callers want of one thing within a moment.
//
// It owns the callers' requests until the call is made, and starts no goroutine. It must not import the AWS SDK, Kubernetes'
// API types or the core, because a batch knows nothing of its calls.
package batch
