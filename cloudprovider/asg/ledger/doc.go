// Package ledger remembers what is known of one Auto Scaling group beyond its last reading.
//
// A Ledger takes in readings and the outcomes of our writes, and states the Group that follows from both. A reading can be older than a write, and
// older than the reading before it. These rules hold whatever comes in which order:
//   - a reading that may be older than our write lowers nothing that we count
//   - a write never sets less than the newest reading states
//   - a write lowers the desired capacity only by instances that we terminate by name, or by our own request that AWS has not fulfilled.
//
// A Ledger has no clock, no lock and no goroutine, and makes no call. The caller passes the time, and serializes the calls. Groups are never changed
// once they are handed out.
//
// Decisions: docs/adr/ledger.md.
package ledger
