// Package awsmessage finds in a message of AWS why a launch failed or a call was refused, and in which pool.
//
// It reads the status messages of scaling activities, the codes and texts of API errors, and the errors of LaunchInstances. A
// specific code decides, otherwise phrases that AWS has kept over the years do. No text is matched as a whole, so other types,
// zones, names, request IDs and cut ends change nothing.
//
// The package is pure and imports neither the AWS SDK nor Kubernetes. cloudprovider/awsclient alone judges errors of the SDK,
// and extracts code and text from them. All functions are safe for concurrent use, bounded in time by maxText, and never panic.
package awsmessage
