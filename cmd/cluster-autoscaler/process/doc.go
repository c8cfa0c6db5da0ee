// Package process is the autoscaler as one process.
//
// It owns wiring and process life. It builds the core with the adapters that wiring.go lists, serves /metrics and /health-check,
// holds the leader lease, and ends cleanly within 5 seconds. It must not import anything of test, because nothing that ships may
// know the emulator.
//
// Decisions: docs/adr/own-composition-root.md.
package process
