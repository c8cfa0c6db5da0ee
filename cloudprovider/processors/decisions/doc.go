// Package decisions hands the facts of each loop of the core to a decision.Record.
//
// A Collector sits at the core's extension points, changes nothing there, and keeps what it sees until the end of the loop. A function
// that the Record calls when somebody reads the next report puts these facts into words. Nobody changes them any more by then.
//
// The package makes no AWS call and starts no goroutine. It must not import the SDK or awsclient.
package decisions
