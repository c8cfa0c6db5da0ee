// Package awsclient makes the AWS clients of the autoscaler and classifies the errors of AWS.
//
// It owns the choice of region and endpoint (the SDK's own, one of the SDK's environment variables, or a ServiceOverride of
// the cloud configuration), the retries, the request metrics, the Batcher by which several callers make one call, and the
// meaning of errors, by awsmessage's table of codes. Every other package takes the SDK's clients through small interfaces of
// its own, and asks IsThrottled, IsDenied and IsNotFound instead of comparing codes. It must not import Kubernetes API types,
// because it speaks AWS's vocabulary, nor the core, whose interfaces only adapters may follow. It awaits its goroutines.
package awsclient
