// Package ownership decides whose an Auto Scaling group is: which groups the flags select, which cluster each of them states, and whether an instance
// may be terminated.
//
// It makes no call and has no lock. Its caller hands it groups and evidence.
//
// Decisions: docs/adr/whose-group.md.
package ownership
