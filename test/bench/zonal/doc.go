// Package zonal compares the stock autoscaler with ours in three scenarios of pods that need particular zones, each on a fresh
// control plane with the emulated AWS account. It reports the instances that each launched, in which zone, and which of them
// were useless.
//
//	make bench-zonal                           # all three, both autoscalers side by side: half an hour, mostly waiting
//	make bench-zonal ONLY=c WHO=ours OUTAGE=1m
//	go run -tags externalgrpc ./test/bench zonal -only a -o json -dir /tmp/zonal   # with every instance and pod, and the logs stay
//
// The account (account.yaml) has one group of three zones, empty at first, at most nine m5.large, with AZRebalance suspended
// and tagged for zonal views. Every pod takes one of its nodes. Three small tainted nodes, one in each zone, belong to somebody
// else, as the system nodes of a cluster often do. From them the scheduler knows the three zones from the start. The scenarios:
//
//	a  a StatefulSet of three replicas in parallel, each bound to a volume in another zone
//	b  a Deployment spread over the zones (maxSkew 1, DoNotSchedule) of one replica, then nine for five minutes, then three
//	c  a with six pods more that can run anywhere, while one zone has no capacity for ten minutes, or -outage
//
// Both autoscalers run with the flags of the same manifest and with scale-down delays of a tenth of the defaults. Stock comes
// from the same core's module and has --balance-similar-node-groups, as its documentation advises for zones. Ours has
// --asg-zonal-groups=tagged, or the flags of -ours. A run is observed for a fixed time, so that both have the same time to
// waste. With a shorter -wait a run shows only that the bench works.
//
// # Cells
//
//	make bench-zonal CELLS=1                               # 77 cells, both autoscalers side by side: forty minutes
//	make bench-zonal CELL='bound volumes|untagged'         # those with this text in their names
//
// With -cells every kind of pods (cells.go) runs on every kind of group: tagged for zonal views or not, with AZRebalance or without,
// and with LaunchInstances allowed or denied. Three more kinds of groups cannot be scaled zone by zone: a group of one zone, a policy
// that mixes on-demand and spot, and the tag's value false. AZRebalance runs there, as by default. Both autoscalers look every second,
// nodes register after 2 s, and nothing is scaled down within ten minutes.
//
// A cell ends when all pods run, or after -wait. While AZRebalance runs, the account balances the zones every 5 s, and terminates nodes
// with their pods. Such a cell goes on until the zones are balanced and every lost pod runs again, or for five minutes. The report has
// the pods that run at the end, on instances that are there, and the lost ones. The exit code is 1 if ours runs fewer than stock
// anywhere. README.md has the last report. make test runs a few cells with ours alone.
//
// # Report
//
// An instance launched in a wrong zone, in a and c: at its launch, nobody waited for it. Pods wait while they do not run yet.
// Pods bound to a zone get the idle instances there first, pods that run anywhere get the rest, and the instance is wrong if no
// remaining pod could run in its zone. An instance is idle from its launch while no pod runs on it, until its termination is
// requested. In b, whose pods are not bound by name: an instance on which no pod ever ran.
//
// Pods pending after three minutes, and the seconds until all run at once, count from the workload's creation, in b from the
// raise to nine replicas. For c there are also the seconds from the end of the shortage. For b there are also the seconds from
// the fall to three replicas until three instances are left.
//
// Each instance wastes the time from when its node became Ready to its end (it left the group, or the observation ended) in
// which no pod of the workload ran on it, times the on-demand list price of its type in the account's Region (package pricing).
// So booting is not waste. The figures leave out AWS's minimum of a minute.
//
// Write calls are all calls to AWS but Describe, Get and List, failed ones included.
//
// # Limits
//
// Among zones with equally many instances the emulator takes the first one listed, where AWS takes any. This is stock's best
// case, whose node template is of that zone. Nodes register 30 s after their launch. Nothing is judged: the exit code is 1 only
// if something could not be run.
package zonal
