// Package plugincerts makes certificates for a plugin and for the Cluster Autoscaler that it serves.
package plugincerts
