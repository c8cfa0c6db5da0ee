// Package aws is the cloud provider as the Cluster Autoscaler's core asks for it: node groups over Auto Scaling groups.
//
// A Provider answers the core from a view of an asg.Snapshot that stays the same for the length of a loop, but for the
// writes made in it: Refresh moves on to the newest Snapshot and never talks to AWS. Templates of groups come from
// nodetemplate and are built again only when something in them changed. What is wrong with one group is reported once
// per change, as a log line, an event and a metric, and keeps no other group from scaling.
//
// This is the room in which the vocabulary changes: an Auto Scaling group becomes a node group, its desired capacity a
// target size. A group of several zones may become several node groups, its zonal views, which share its limits. The core's
// interfaces carry no context; New keeps one, from which every write derives its deadline.
package aws
