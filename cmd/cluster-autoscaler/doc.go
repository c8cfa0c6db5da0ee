// Command cluster-autoscaler is the Kubernetes Cluster Autoscaler for EC2 Auto Scaling groups.
//
// It replaces the stock autoscaler's binary, with the same flags, endpoints, metrics, lease and config maps over the same core.
//
// The command owns flags, log and exit codes. The package process below it is the autoscaler.
//
// It exits 0 after a signal to stop, 1 when it could not run or lost its lease, and 2 when it was started wrongly.
//
// Decisions: docs/adr/core-as-a-library.md.
package main
