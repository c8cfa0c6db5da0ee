// Package refresh fetches an offer file of AWS, from the network or a disk, and writes price lists from it.
//
// It reads an offer as a stream and keeps no copy. It writes nothing before the end of the offer. Then each file replaces its
// predecessor as a whole, or not at all. It reports progress meanwhile. No goroutine outlives Run.
//
// The package owns the way of a file from its source to the price lists. It must not import the core, because the CLI shows
// the autoscaler's knowledge of AWS and needs no simulated cluster.
package refresh
