// Package asg keeps the state of the Auto Scaling groups that this autoscaler owns, and is the only package that changes them.
//
// A Cache makes the calls, holds the locks, reads the clock, and owns the goroutines of its Run and of increases under way. It publishes every reading
// as an immutable Snapshot, so that readers take no lock, make no call and never see half a reading. Run reads all groups at a slow pace and groups in
// motion at a quick one, with one call per hundred groups. The rooms below make no call of Auto Scaling.
//
// Writes to one group follow each other, each on its own reading. Terminations that come within a moment share one write. If AWS turns out to have
// launched more than a write left room for, the Cache raises the desired capacity again before AWS terminates the excess. An accepted write is in the
// Snapshot at once. A call holds only the lock of its group, which no reader takes. No write reaches a group that states another cluster. One group's
// trouble is a Problem of that group only.
//
// A group of several zones may be divided into zone groups, each with its part of the instances and sizes. A launch then names its zone. Every other
// write is to the whole group.
//
// The package must not import the core, whose interfaces only adapters may follow, nor a Kubernetes API type, because it speaks AWS's vocabulary. Its
// files use each other in one direction: cache.go knows no call, and what makes one knows no caller.
//
// Decisions: docs/adr/launch-instances.md, docs/adr/launches-beside-the-loop.md.
package asg
