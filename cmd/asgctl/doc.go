// Command asgctl shows the autoscaler's view of EC2 Auto Scaling groups: the groups, the node each would add, the prices
// of instance types, and why pods wait and nodes stay. It also checks a real account, and watches a running autoscaler. Under the name
// kubectl-asg it is a kubectl plugin.
//
// It owns nothing but its exit code: package command reads the flags. Only account --launch changes anything in AWS, and only
// remove and moves resume change anything in a cluster.
//
// Decisions: docs/adr/one-program.md.
package main
