// Package queue reads a standard queue of SQS and has every message handled, many at a time.
//
// A message stays in the queue until its handler is done with it. While a handler works, the message stays hidden from other
// readers. If this process dies, the message is visible again within half a minute, and the next leader receives it. So a
// message is handled at least once, maybe twice, in any order, and never lost. A message whose handler fails or panics stays in
// the queue and delays no other.
//
// A Consumer owns its goroutines, and Run ends them all. The package must not import Kubernetes' API types,
// because a queue knows nothing of its messages' contents.
package queue
