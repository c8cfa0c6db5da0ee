// Package decision records why the autoscaler did what it did.
//
// A Record holds the decisions of the running process in bounded memory. Parts of the loop write to it what they decide. Status page,
// JSON, metrics, events and asgctl read it and nothing else, so that all of them give the same reasons.
//
// Readers get a Report, which is immutable. The package starts no goroutine, makes no call, and imports neither the Cluster
// Autoscaler's core nor the AWS SDK.
//
// Decisions: docs/adr/record-of-decisions.md.
package decision
