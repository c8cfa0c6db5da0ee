// Package awsmessage finds in a message of AWS why a launch failed or a call was refused, and in which pool.
//
// It reads the status messages of scaling activities, the codes and texts of API errors, and the errors of LaunchInstances. A
// specific code decides, otherwise phrases that AWS has kept over the years do. No text is matched as a whole, so other types,
// zones, names, request IDs and cut ends change nothing.
//
// The package owns the meaning of texts and of error codes, and is pure. It must not import Kubernetes, which AWS does not know, nor the AWS
// SDK, because cloudprovider/awsclient alone judges errors of the SDK, and extracts code and text from them. All functions
// are safe for concurrent use, bounded in time by maxText, and never panic.
package awsmessage
