// Package zonal compares how many pods run at the end with the stock autoscaler and with ours, where pods need particular zones. Each cell
// is one kind of pods on one kind of group, on a fresh control plane with the emulated AWS account.
//
//	make bench-zonal                                 # 77 cells, both autoscalers side by side: forty minutes
//	make bench-zonal CELL='bound volumes|untagged'   # those with this text in their names
//	make bench-zonal CELL='spread' WHO=ours
//
// Every kind of pods (cells.go) runs on every kind of group: tagged for zonal views or not, with AZRebalance or without, and with
// LaunchInstances allowed or denied. Three more kinds of groups cannot be scaled zone by zone: a group of one zone, a policy that mixes
// on-demand and spot, and the tag's value false. AZRebalance runs there, as by default.
//
// The account (account.yaml) has one group of three zones, empty at first, at most nine m5.large. Every pod takes one of its nodes. Three
// small tainted nodes, one in each zone, belong to somebody else, as the system nodes of a cluster often do. From them the scheduler knows
// the three zones from the start. Nodes register after 2 s.
//
// Both autoscalers run with the flags of the same manifest, look every second, and scale nothing down within ten minutes. Stock comes from
// the same core's module and has --balance-similar-node-groups, as its documentation advises for zones. Ours has
// --asg-zonal-groups=tagged, or the flags of -ours.
//
// A cell ends when all pods run, or after -wait. While AZRebalance runs, the account balances the zones every 5 s, and terminates nodes
// with their pods. Such a cell goes on until the zones are balanced and every lost pod runs again, or for five minutes. The report has
// the pods that run at the end, on instances that are there, and the lost ones. The exit code is 1 if ours runs fewer than stock
// anywhere. README.md has the last report. make test runs a few cells with ours alone.
//
// # Limits
//
// Among zones with equally many instances the emulator takes the first one listed, where AWS takes any. This is stock's best case, whose
// node template is of that zone.
package zonal
