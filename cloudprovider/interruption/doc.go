// Package interruption drains nodes before AWS terminates their instances, and terminates the drained instances itself, so that
// each is replaced once.
//
// It reads upcoming interruptions from a queue (packages queue and event). It cordons and taints the node of an instance in our
// groups at once and takes it off load balancers. If AWS has only planned to take the instance, the node leaves them as its pods do.
// The core's loop is woken and counts the node's pods as pending (NodesBeingDrained), so that the core decides on their replacement
// before they are evicted (ReplacementsDecided). Then the package moves the pods in the time that is left (package drain). Once they
// run on other nodes, or have had some seconds to, it terminates the instance and decrements the desired capacity. So AWS launches no
// second replacement beside the one that the expander has chosen. AWS replaces the instance if the group's minimum size forbids the
// decrement, or if the group replaces instances at risk itself.
//
// A repair may have an instance rebooted (package move). Its node is drained likewise, and put back into use once it has come back.
//
// Annotations on the node state the reason, the deadline and the stage. So the next leader takes up a drain with or without its
// message. A message is deleted only when its instance is dealt with. A node whose instance stays is uncordoned. Two messages
// about one instance share one job, and the more urgent one sets its deadline.
//
// The package owns the jobs of interrupted instances. A Handler owns its goroutines, and Run ends them all. The package must
// not import the core, whose interfaces only adapters may follow.
//
// Decisions: docs/adr/interruptions-inside.md.
package interruption
