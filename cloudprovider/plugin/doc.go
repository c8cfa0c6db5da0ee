// Package plugin serves the node groups and the expander to an unmodified Cluster Autoscaler, by the core's own protocols: the
// external gRPC provider and the gRPC expander.
//
// It translates calls into calls of an aws.Provider and of an expander, and adds what the two protocols leave out: facts that
// the core's adapters of the built-in form would add, those that a Node can carry. Every Refresh moves on to one Snapshot. All
// answers until the next Refresh come from it, except for the writes that the core asks for. A core that connects anew, or none for
// long, moves on to the newest one, too.
//
// A Server owns its listener, its certificates and its goroutines, which Serve ends. It makes no AWS call of its own.
//
// Decisions: docs/adr/plugin-second.md.
package plugin
