// Package chaos runs the real autoscaler, one replica or two, against an emulated AWS account and a real control plane while
// both misbehave, and judges what is left when they have recovered.
//
// All that happens in a run is a Plan, made from its seed alone: how many pods are wanted when, and which faults come when
// and for how long. The same seed gives the same plan; as the programs run in real time, it gives the same events at the same
// offsets, not the same interleaving to the microsecond. What is drawn while a plan runs (which calls of a share are hit,
// which instance is reclaimed) follows the account's seed, in the order in which it is asked for. Of two things of a kind that
// hold for a time and overlap, such as two jumps of a clock, the first that is over ends both.
//
// After a few seconds every fault is over. From then on the run must converge: every wanted pod runs on a Ready node, and,
// once no pod is wanted any more, every group is back at its minimum, and no node is left tainted or cordoned for removal.
// At no time may the autoscaler have ended an instance that was not drained, wanted less of a group than its busy nodes, or
// crashed. Instances that others end (EC2, an operator, a deleted group) do not count against it.
//
// Zonal plans run with --aws-zonal-groups=all, in an account whose groups of several zones can all be scaled zone by zone, and want
// pods that need a zone: by volume, by selector, or by a spread that must be even. They have faults of their own: nobody may
// launch synchronously, a zone has no capacity, AZRebalance is resumed, the tag says no. Beside what holds for every
// plan, no instance that we launched came up in a zone for which the core did not ask; and, once the pods run, with more of them wanted
// than the groups may have nodes for and then with none, each group is one node group a zone again whose sizes add up to the group's,
// a group is filled and emptied again to its limits, and nobody had to keep the autoscaler from passing them. A permission that
// was refused and a zone without capacity are remembered for minutes: plans with them end with a new start of the replicas.
//
// Clocks: AWS's jumps, in the Date of its answers and in the times of scaling activities, and a process that is stopped for
// seconds sees its own jump ahead. The clock of the machine itself stays as it is, and so do the API server's times.
//
// What a real cluster does and KWOK does not is done here: pods on nodes that are gone are removed, at once instead of a
// minute later. A Lab owns a control plane and its goroutines, and Close ends them; many plans run in it one after another.
package chaos
