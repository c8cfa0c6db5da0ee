// Package monitoring tests manifests/monitoring: the rules, the alerts, the dashboard and the discovery of the autoscaler's pods.
//
// A real Prometheus finds the real autoscaler by the annotations of its pod on a real API server, scrapes it through a scale-up, a
// launch without capacity, an interruption and a scale-down, and answers every expression. prometheus and promtool come from Debian's
// package prometheus. That build cannot ask Kubernetes for pods, so the test writes the API server's pods into a file, with the labels
// that Prometheus gives pods, and the shipped relabelling chooses among them. The package owns these processes and is tests alone. It
// also writes the generated files of manifests/monitoring.
package monitoring
