// Package nodegroups decides which node groups may grow, which are alike, and how a scale-up is shared among them.
//
// The zone groups of an Auto Scaling group share its limits. The core knows nothing of that and takes each node group for itself, so
// this package has it count the shared limits once.
//
// After a failed scale-up the core pauses the node group, for as long as Pauses says. A group whose nodes do not come up is paused for as
// long as the stock autoscaler's flags say, longer each time. A group in which AWS refuses a launch for a known reason is paused for three
// minutes each time. The cool-downs of its pools, which belong to cloudprovider/asg, leave it alone for as long as the reason asks for. A call
// that AWS refused or did not answer says nothing about the group. It is tried again after seconds, and less often while it goes on failing.
//
// The package owns the pauses, and no other state. It chooses no option and launches nothing. It makes no AWS call and imports neither the
// SDK nor awsclient.
package nodegroups
