// Package certificates makes certificates for a control plane, and for a plugin and the Cluster Autoscaler that it serves.
package certificates
