// Command cluster-autoscaler is the Kubernetes Cluster Autoscaler for EC2 Auto Scaling groups.
//
// It replaces the stock autoscaler's binary, with the same flags, endpoints, metrics, lease and config maps over the same core.
//
// The package owns flags, wiring and process life. It builds the core with the adapters that wiring.go lists, serves
// /metrics and /health-check, holds the leader lease, and ends cleanly within 5 seconds. It must not import anything of
// test, because nothing that ships may know the emulator.
//
// It exits 0 after a signal to stop, 1 when it could not run or lost its lease, and 2 when it was started wrongly.
package main
