// Package asg keeps the state of the Auto Scaling groups this autoscaler owns, and is the only room that changes them.
//
// A Cache reads the groups that the discovery filters match and publishes every reading as an immutable Snapshot, so
// that readers take no lock, make no call and never see half a reading. Run keeps it fresh: all groups at a slow pace,
// groups in motion (written to a moment ago, or short of instances) at a quick one, both at one call per hundred. What a
// group would launch is read from its launch template, launch configuration and EKS node group when one of them
// changes, never per reading.
//
// Writes to one group follow each other, each on a reading of its own. A reading can be older than our last write, so a
// desired capacity is raised from the newest that we know, and a raise never sets it below what the reading states. It is
// lowered only by naming the instance to terminate or by taking back a request of our own that AWS has not fulfilled. Where AWS turns out to have launched more than such a write left room for, the desired capacity is
// raised again before AWS ends what it launched. A write is in the Snapshot as soon as AWS accepted it. No lock is held
// across a call.
//
// Where AWS does not answer LaunchInstances, or a termination of several instances, a reading shows what came of it, and an older call does
// the rest: for one group, or for all of them for a while.
//
// A group of several zones may be divided into zonal views, each with its part of the group's instances and sizes, and launched
// in the zone that is named; all else, terminations among it, is done to the group.
//
// Groups that state another cluster than ours are kept apart in the Snapshot, and no write reaches them.
//
// The package knows no Kubernetes type. One group's trouble is a Problem of that group and of no other.
package asg
