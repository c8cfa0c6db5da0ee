// Package loop decides when the autoscaler's next loop runs.
//
// A loop runs at once when the cloud's state changed, when a node has been unneeded for long enough, and after a loop that achieved
// something. It runs soon after a pod became unschedulable or waits for another cause of its own, and after a node became empty or takes
// pods that it refused. Otherwise it runs once per scan interval. The Trigger waits until no pod is likely to follow, so that a burst is
// packed as a whole, but no longer than a limit counted from the first pod. So does the first loop of a process.
//
// Nothing that a loop does may start the next one again and again. The end of a node's unneeded time counts once, whether or not the node
// goes. The core's own taints do not count. Loops for changes of nodes take a bounded share of the time.
//
// The pods are watched through the very informer that feeds the loop's pod lister. An informer fills its store before it calls
// its handlers, so a loop that was started for a pod always finds that pod listed.
//
// The package owns the timing of loops and nothing they do. It knows no AWS, and imports nodemeta alone of this module's packages. A
// Trigger starts no goroutines. Its handlers may be called beside Wait, and Wait itself is for one caller at a time.
//
// Decisions: docs/adr/bursts.md.
package loop
