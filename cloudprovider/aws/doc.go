// Package aws implements the core's CloudProvider and NodeGroup over Auto Scaling groups.
//
// A Provider answers the core from a View of a group.Snapshot. The View stays the same during a loop, except for the loop's own
// writes. Refresh moves on to the newest Snapshot and makes no call. The Provider builds the template of a group again only when its
// key changed. It reports a problem of a group once, as a log line, an event and a metric, and no problem keeps another
// group from scaling.
//
// The vocabulary changes here: an Auto Scaling group becomes a node group, its desired capacity a target size. A group with
// several zones may become several node groups, its zone groups, which share its limits.
//
// Its Model answers the core's questions about prices. A node of one of our groups costs as much as the group's next instance: by its
// policy, its allocation strategy, and its present instances. The groups know their nodes, so nothing is guessed from names. A node of an
// unknown type, and a pod, cost as much as similar types charge for CPU, memory and accelerators. Neither question ever fails.
//
// The package owns the View and the observed node facts. It imports none of the core's
// adapters in cloudprovider/processors, which stand on it. The core's interfaces carry no context, so New keeps one, and every
// write derives its deadline from it.
//
// Decisions: docs/adr/snapshots.md, docs/adr/zone-groups.md.
package aws
