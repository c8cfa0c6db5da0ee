// Package running reads the report of the autoscaler that runs in a cluster.
//
// It finds the autoscaler's pod and asks it through the API server's proxy, so that no port has to be forwarded. It only reads.
package running
