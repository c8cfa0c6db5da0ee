// Package scaledown decides which nodes the core may consider for removal and remove, and takes back what a removal that failed has left.
//
// It also has the core remove the nodes that somebody asks to go (Requests), and the nodes to replace (Moves). The drain of interruptions
// would not do for them: it has a deadline, knows no pod that keeps its node, has AWS replace an instance that the group's minimum needs,
// and lets pods wait for a new node. So a request or a move is a second plan by the core's planner and actuator, made before the core's own
// and in the same loop. In a loop in which it begins a removal no other begins.
//
// The package owns filters around the core's choice of nodes and never removes a node itself: the core's actuator does. The core's loop
// alone uses its types. It makes no AWS call and imports neither the SDK nor awsclient.
package scaledown
