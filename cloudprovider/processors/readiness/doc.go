// Package readiness decides which Ready nodes are still starting.
//
// A node is starting while it lacks an accelerator that its group's template promises. The package owns how long nodes of each group
// usually need, and how long it waits for each. It removes no node, makes no AWS call, and imports neither the SDK nor awsclient.
package readiness
