// Package scaleup shapes the scale-up of a loop: when it begins, for which pods, and how often the core is asked for one.
//
// Two things differ from the core alone. NoPodAgeDelay lets pods count in the very loop that first sees them. The Orchestrator scales up
// several times in one loop, until it has asked for all that the pending pods need, and apart for pods that need a zone.
//
// The package owns no node group and no choice between them: the core and its expander decide. It makes no AWS call. The core's loop alone
// uses its types.
package scaleup
