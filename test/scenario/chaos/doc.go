// Package chaos runs the real autoscaler, one replica or two, against an emulated AWS account and a real control plane while
// both misbehave, and judges their state after the recovery.
//
// A Plan, made from its seed alone, fixes all events of a run: how many pods are wanted when, and which faults come when and
// for how long. The same seed gives the same plan. The programs run in real time, so the same events come at the same offsets,
// but are not interleaved alike to the microsecond. Draws made while a plan runs (which calls of a share are hit, which
// instance is reclaimed) follow the account's seed, in the order in which the account is asked for them. If two faults of a
// kind overlap, such as two jumps of a clock, the first one to end ends both.
//
// A plan has traits beside its steps: an interruption queue, lifecycle hooks, weights, a mixed policy, capacity rebalancing,
// and in half of the seeds the usual refresh of a minute instead of a second. Half of the plans have disruption budgets. Every
// plan has stale readings. The autoscaler reaches the API server through a front that can refuse, hang or cut its requests.
// It can also have a write carried out and lose the answer, and kill the leader before or after its n-th write of a node or a pod.
// A write that has reached the API server is carried out, even if its caller is killed meanwhile. Requests of everybody else pass. Some plans kill kube-apiserver or etcd and start it again, which everybody sees. Users cordon,
// uncordon and delete nodes.
//
// Further traits: groups that count in units of hardware, nodes that are Ready late, each at its own time, nodes that register with a
// start-up taint that an agent takes off, new desired capacities that AWS shows before the instances, and a group with divided GPUs. A pod waits there for a whole GPU, which it cannot get, and
// no node may be launched for it. Other plans starve the leader for some seconds.
//
// Hurried plans have the least-cost expander and limits of milliseconds: 5 ms to pack a group, 20 ms to pack all of them, 1 ms to plan.
// Their burst is a crowd: large and small pods, pods with anti-affinity, and GPUs. It meets a leader that gets a quarter of a processor's time.
// In some of the other plans the leader dies in the burst, before or after it has nominated for a certain number of pods.
//
// The summary says how often each limit fired, how many nominations were written, and how many leaders died at a write. It names the runs
// without a nomination, unless a leader died at its first one. A set with enough hurried runs fails if a limit never fired.
//
// After a few seconds every fault is over. From then on the run must converge. First every wanted pod runs on a Ready node.
// Then no pod is wanted any more, every group returns to its minimum, and no node is left tainted or cordoned for removal. Each
// of these counts once it has held at every look for five seconds, and must begin within the plan's Allowance: 30 s, a minute
// where whole groups are filled, a minute and a half where the control plane crashed, or two minutes with the usual refresh. Late nodes
// and nodes whose object a user deleted may take some seconds longer, and instances of groups with a hook half a minute. Only what EC2 has
// warned of may still come: it takes some of these instances up to 40 s later.
//
// Between the two, plans that are not zonal want more pods at once. The autoscaler must not ask for more nodes than one packing of
// these pods on the smallest nodes needs, where each node has pods of one workload. A minute after the last start of a replica, no node may
// stay cordoned for longer than a drain takes, but by a user, and a user's cordon must still be there.
//
// A judge looks at each event of AWS at the moment it happens: AWS stands still while the judge asks the API server for the
// pods. The autoscaler must not end an instance that is not drained, or have AWS do so. It must not let pods onto an instance
// that it has ended. It must not release an instance that a hook holds for it. It must not lower a desired capacity below the
// members of the group. It must not crash, but it may end when it has lost the API server or its lease. After the run, the logs
// show the sizes that the core wished for. The autoscaler must not have requested more instances from AWS than these and the
// ones that others took away, nor again instances that were on their way. Instances that others end (EC2, an operator, a
// deleted group) do not count against it. Nor does a node that AWS chose after SetDesiredCapacity met another writer's raise of
// the last four seconds: no reading had to show that raise, and the call has no condition. Such races are counted apart.
//
// Zonal plans run with --asg-zonal-groups=all, in an account whose groups of several zones can all be scaled zone by zone, and
// want pods that need a zone: by volume, by selector, or by a spread that must be even. They have their own faults: nobody may
// launch synchronously, a zone has no capacity, AZRebalance is resumed, the tag says no. Beside the rules for every plan, no
// instance that we launched may come up in a zone for which the core did not ask. The pods run, then more of them are wanted
// than the groups may have nodes for, and then none. Each group must then be one node group a zone again whose sizes add up to
// the group's. A group must be filled and emptied again to its limits, and nobody may have had to keep the autoscaler from
// passing them. The autoscaler remembers a refused permission for a quarter of an hour, so plans with a refusal end with a new
// start of the replicas. It remembers a zone without capacity for minutes, so every second plan with one ends with a new start,
// too, with an Allowance of two minutes and a half. The others wait, with an Allowance of four minutes.
//
// Plans with moves run with --asg-rotate and --asg-repair. Amid the faults the groups of a pool get a new launch template version, a node breaks, and
// the leader dies at steps of moves: as it writes that a node is to be replaced, that it asked for another one, that it closed the node, that
// it restarted Deployments, and that it drains the node, or as it evicts a pod, or once AWS has begun to end the instance. In half of them GPU pods ask
// for a restart of their Deployment. Once every fault is over, all groups get another version, a third of the time while a pool has no capacity, and
// leaders die again. From then on, each pod of a node whose drain begins must have a place on other Ready nodes. Before, the autoscaler may not know the
// cluster as it is. No pod may be deleted beside its budget but by an interruption. In the end every instance has the last version, no node keeps a mark
// of a move, and for 20 seconds nothing moves, and no group grows. Moves that wait for their next try are resumed each ten seconds, as a user can,
// because the tries are minutes apart. The results have what happened when. A day without a move is tested in package decisions, by a clock of its own.
//
// In half of the plans that break a node, a repair reboots it first. That heals half of the nodes, and the others must be gone in the end. Another node
// breaks once all have been replaced, and the leader dies at steps of a reboot. A node may be rebooted once, drained, and only while it does not work.
// One that its reboot has healed may not be replaced for its repair, and must take pods again. A leader that dies between its note that it calls EC2 and
// the call is left out: the next one waits for half an hour.
//
// Where past defects hid, and how many plans in a hundred go there. Where no kind of plan is named, it is so in both:
//
//   - lost answers of the API server to writes of nodes and pods: LostWrites, 55
//   - a leader that dies before or after any write: KillAtWrite, 70. In 50 it is a nomination
//   - a leader that dies amid the nominations of the burst: Traits.BurstKill, 30 of those that are not zonal
//   - users who cordon, uncordon and delete nodes: UserCordons 40, UserUncordons 30, UserDeletes 30
//   - groups with weights 50, units of hardware 25, divided GPUs 30: Traits of plans that are not zonal
//   - start-up taints 25, late nodes 35: Traits
//   - readings between AWS's new desired capacity and the listing: Traits.Unlisted, 35
//   - time limits that fire: Traits.Hurried, 35, with a crowd in those that are not zonal. Starved leaders: 30
//   - a plugin with hostile callers: no plan runs a plugin. TestCoreIsServedAmidStrangers of package cloudprovider/plugin does
//
// Clocks: AWS's clock jumps, in the Date of its answers and in the times of scaling activities, and a process that is stopped
// for seconds sees its own clock jump ahead. The clock of the machine itself stays as it is, and so do the API server's times.
//
// The package stands in for a part of a real cluster that KWOK lacks: it removes pods on nodes that are gone, at once instead of
// a minute later. A Lab owns a control plane and its goroutines, and Close ends them. Many plans run in it one after another.
//
// A soak is a plan of its own: a day of load, rollouts, reclaims and faults, without those that end the autoscaler. It takes Samples of memory and
// goroutines, and of whether the autoscaler's groups are as AWS's. Its end is judged like that of any plan.
package chaos
