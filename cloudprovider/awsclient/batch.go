package awsclient

import (
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Batcher gathers requests of type W by key and makes one call for each batch. Every caller gets the call's result R. Safe for
// concurrent use.
type Batcher[K comparable, W, R any] struct {
	clock clock.Clock
	wait  time.Duration

	mu   sync.Mutex
	open map[K]*pending[W, R] // guarded by mu
}

// pending is one call to come.
type pending[W, R any] struct {
	wanted W // guarded by Batcher.mu while the batch is open
	done   chan struct{}
	result R // set when done is closed
}

// NewBatcher makes a Batcher whose first caller waits so long for others.
func NewBatcher[K comparable, W, R any](c clock.Clock, wait time.Duration) *Batcher[K, W, R] {
	return &Batcher[K, W, R]{clock: c, wait: wait, open: map[K]*pending[W, R]{}}
}

// Join has add enter the caller's request into the open batch of the key, and returns the result of its call. The caller who
// opened the batch makes the call, in its own goroutine. The error is add's, and a request whose add failed has no part in the
// batch.
func (b *Batcher[K, W, R]) Join(key K, add func(*W) error, call func(W) R) (result R, err error) {
	b.mu.Lock()
	p := b.open[key]
	first := p == nil
	if first {
		p = &pending[W, R]{done: make(chan struct{})}
	}
	if err := add(&p.wanted); err != nil {
		b.mu.Unlock()
		return result, err
	}
	b.open[key] = p
	b.mu.Unlock()
	if first {
		b.clock.Sleep(b.wait)
		b.mu.Lock()
		delete(b.open, key)
		b.mu.Unlock()
		p.result = call(p.wanted)
		close(p.done)
	}
	<-p.done
	return p.result, nil
}
