// Package group has the values that describe one Auto Scaling group at one moment: the Group with its instances and sizes, its zone groups, and the
// Snapshot of all groups.
//
// They are immutable once they are published, and know neither the clock nor a lock nor a call. All arithmetic of capacities is here: what is
// missing, what fits, what may be withdrawn, and how it is divided among zones.
//
// Decisions: docs/adr/snapshots.md.
package group
