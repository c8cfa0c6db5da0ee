// Package scaledown decides which nodes the core may consider for removal and remove, and takes back what a removal that failed has left.
//
// The package owns filters around the core's choice of nodes and never removes a node itself. It makes no AWS call and imports
// neither the SDK nor awsclient.
package scaledown
