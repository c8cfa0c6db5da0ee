package awsclient

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/utils/clock"
)

// Parallel makes the calls 0 to n-1, at most limit at a time, and waits for all.
func Parallel(n, limit int, call func(int)) {
	var calls errgroup.Group
	calls.SetLimit(limit)
	for i := range n {
		calls.Go(func() error { call(i); return nil })
	}
	_ = calls.Wait()
}

// Batcher gathers by key what callers want, and makes one call for each batch. Every caller gets the call's result R. Callers with another wait
// share no batch, so that none waits longer than it said. Safe for concurrent use.
type Batcher[K comparable, W, R any] struct {
	Clock clock.Clock
	// Call is made with the context of the caller who opened the batch, in its goroutine. It takes what the callers want once it can act on
	// that. Others join the batch until then.
	Call func(ctx context.Context, key K, take func() []W) R

	mu   sync.Mutex
	open map[opened[K]]*batch[W, R] // guarded by mu
}

// opened says who may join a batch.
type opened[K comparable] struct {
	key  K
	wait time.Duration
}

type batch[W, R any] struct {
	wanted []W // guarded by Batcher.mu while the batch is open
	done   chan struct{}
	result R // set when done is closed
}

// Join adds to the open batch of the key and the wait, and returns the result of its call. The caller who opens the batch waits for others.
func (b *Batcher[K, W, R]) Join(ctx context.Context, key K, wait time.Duration, wanted ...W) R {
	who := opened[K]{key, wait}
	b.mu.Lock()
	joined, others := b.open[who]
	if !others {
		joined = &batch[W, R]{done: make(chan struct{})}
		if b.open == nil {
			b.open = map[opened[K]]*batch[W, R]{}
		}
		b.open[who] = joined
	}
	joined.wanted = append(joined.wanted, wanted...)
	b.mu.Unlock()
	if !others {
		b.Clock.Sleep(wait)
		take := sync.OnceValue(func() []W {
			b.mu.Lock()
			defer b.mu.Unlock()
			delete(b.open, who)
			return joined.wanted
		})
		joined.result = b.Call(ctx, key, take)
		take() // if Call could not act
		close(joined.done)
	}
	<-joined.done
	return joined.result
}
