// Package asg keeps the state of the Auto Scaling groups that this autoscaler owns, and is the only package that changes them.
//
// A Cache owns the readings, the writes, the goroutines of its Run and those of increases under way. It publishes every reading as an immutable
// Snapshot, so that readers take no lock, make no call and never see half a reading. Run reads all groups at a slow pace and groups in motion at
// a quick one, with one call per hundred groups. launchspec resolves what a group launches, and cooldown remembers what is left alone after a
// failure.
//
// Writes to one group follow each other, each on its own reading. A reading can be older than our last write, so a raise counts from the newest
// desired capacity that we know, and never sets less than the reading states. A write lowers the desired capacity only by the named instances
// that it terminates, or by our own request that AWS has not fulfilled. If AWS turns out to have launched more than such a write left room for,
// the Cache raises the desired capacity again before AWS terminates the excess. An accepted write is in the Snapshot at once. A call
// holds only the lock of its group, which no reader takes.
//
// StartIncrease waits for no answer. The Snapshot counts such an increase from then on, and without an answer for no longer than a write may take.
// Everything that writes counts only what AWS has accepted.
//
// If AWS does not answer LaunchInstances, or a termination of several instances, a reading shows the outcome and an older call does the rest:
// for one group, or for all groups for a while.
//
// A group of several zones may be divided into zone groups, each with its part of the instances and sizes. A launch then names its zone. Every
// other write is to the whole group. No write reaches a group that states another cluster. One group's trouble is a Problem of that group only.
//
// The package must not import the core, whose interfaces only adapters may follow, nor a Kubernetes API type, because it
// speaks AWS's vocabulary.
package asg
