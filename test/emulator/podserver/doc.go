// Package podserver emulates, in the process, the part of an API server that drains use: it lists, evicts and deletes
// pods, and patches their status.
//
// A Server keeps its pods in the tracker of a fake clientset, so informers of that clientset see every change. Its Client is
// client-go's own, which speaks HTTP to it without a network: retries, time limits and bodies are the real ones, and all of it
// runs in a synctest bubble. The package must not be imported outside tests.
package podserver
