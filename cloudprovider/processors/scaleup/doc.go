// Package scaleup shapes one scale-up of the core: when it begins, for which pods, and how often it is tried.
//
// Three things differ from the core alone. NoPodAgeDelay lets pods count in the very loop that first sees them. Salvo scales up
// several times in one loop, until it has asked for all that the pending pods need. Phases scales up for pods that need one zone
// apart from the others.
//
// The package owns no node group and no choice between them: the core and its expander decide. It makes no AWS call and
// imports none of this module's packages. The core's loop alone uses its types.
package scaleup
