// Package aws implements the core's CloudProvider and NodeGroup over Auto Scaling groups.
//
// A Provider answers the core from a View of an asg.Snapshot. The View stays the same during a loop, except for the loop's own
// writes. Refresh moves on to the newest Snapshot and makes no call. The Provider builds the template of a group again only when its
// key changed. It reports a problem of a group once, as a log line, an event and a metric, and no problem keeps another
// group from scaling.
//
// The vocabulary changes here: an Auto Scaling group becomes a node group, its desired capacity a target size. A group with
// several zones may become several node groups, its zone groups, which share its limits.
//
// The package owns the View, the observed node facts, and the batches of deletions. It imports none of the core's
// adapters in cloudprovider/processors, which stand on it. The core's interfaces carry no context, so New keeps one, and every
// write derives its deadline from it.
package aws
