// Package queue reads a standard queue of SQS and has every message handled, many at a time.
//
// A message stays in the queue until its handler says that it is done. While a handler works, the message is kept out of
// sight of other readers; should this process die, it comes into sight within half a minute and is received again, by whoever
// leads then. So a message is handled at least once, maybe twice, in any order, and never lost. One whose handler fails or
// panics is left in the queue and holds up no other.
//
// A Consumer owns its goroutines; Run ends them all.
package queue
