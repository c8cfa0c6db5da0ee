// Command asgctl shows the autoscaler's view of EC2 Auto Scaling groups: the groups, the node each would add, and the
// resources and prices of instance types. It also checks a real account.
//
// It owns nothing but its exit code: package command reads the flags. Only account --launch changes anything in AWS. It must not
// import the core, because the CLI shows the autoscaler's knowledge of AWS and needs no simulated cluster.
package main
