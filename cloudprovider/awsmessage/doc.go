// Package awsmessage tells what AWS means by a message: why a launch failed or a call was refused, and of which pool.
//
// It reads the status messages of scaling activities, the codes and texts of API errors, and the errors of
// LaunchInstances. A code decides where there is one that says enough; otherwise phrases that AWS has kept over the
// years do. Nothing is matched as a whole, so that other types, zones, names, request IDs and cut ends change nothing.
//
// The package is pure and imports nothing of AWS or Kubernetes: whoever has an error of the SDK takes code and text out of
// it by cloudprovider/awsclient, which alone judges such errors. All functions are safe for concurrent use, bounded in
// time by maxText, and never panic.
package awsmessage
