// Package aws implements the core's CloudProvider and NodeGroup over Auto Scaling groups.
//
// A Provider answers the core from a View of a group.Snapshot, which stays the same during a loop, except for the loop's own writes. Refresh moves on
// to the newest Snapshot and makes no call. A problem of a group is reported once, as a log line, an event and a metric, and affects no other group.
//
// The vocabulary changes here: an Auto Scaling group becomes a node group, its desired capacity a target size. A group with several zones may become
// several node groups, its zone groups, which share its limits.
//
// Its Model answers the core's questions about prices, and never fails. A node costs as much as the next instance of its group. A node of an unknown
// type, and a pod, cost as much as similar types charge for CPU, memory and accelerators.
//
// The package owns the View and the observed node facts. It imports none of the core's adapters in cloudprovider/processors, which stand on it. The
// core's interfaces carry no context, so New keeps one, and every write derives its deadline from it.
//
// Decisions: docs/adr/snapshots.md, docs/adr/zone-groups.md.
package aws
