// Package trigger decides when the autoscaler's next loop runs.
//
// A loop runs at once when the process starts, soon after a pod became unschedulable or a claim got its volume, when the
// cloud's state changed, after a loop that achieved something, and otherwise once per scan interval. Pods tend to come in
// bursts; the trigger waits until none has come for a moment, so that a burst is packed as a whole, but never longer than a
// limit counted from its first pod.
//
// The pods are watched through the very informer that feeds the loop's pod lister. An informer fills its store before it
// tells its handlers, so a loop that was started for a pod always finds that pod listed. A pod that becomes unschedulable
// while a loop runs is remembered, and the next loop follows right after.
//
// A Trigger starts no goroutines. Its handlers may be called beside Wait; Wait itself is for one caller at a time.
package trigger
