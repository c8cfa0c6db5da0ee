// Package interruption drains nodes before AWS takes their instances, and gives the instances back so that each is replaced once.
//
// What is about to happen is read from a queue (package queue, package event). For an instance of one of our groups the node is
// cordoned, tainted and taken off load balancers at once. The core's loop is woken and counts the node's pods as pending (Doomed),
// so that their replacement is decided before they are evicted (Decided). Then the pods are moved in the time that is left
// (package drain), and once they run elsewhere, or have had some seconds to, the instance is terminated with decrement, so that AWS
// launches no second replacement beside the one that the expander has chosen. Where the group's minimum size does not permit
// that, or the group replaces instances at risk itself, AWS replaces it.
//
// A node says on itself why it is going, by when, and how far that is. So a drain is taken up by the next leader, with or
// without its message; a message is deleted only when its instance is dealt with; and what turns out not to go is uncordoned
// again. Two messages of one instance are one piece of work: the more urgent sets the time.
//
// A Handler owns its goroutines; Run ends them all. The package knows nothing of the core.
package interruption
