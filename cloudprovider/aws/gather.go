package aws

import (
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// gather puts together what several callers want of a group within a moment, does it once, and tells each of them what came of it.
// Safe for concurrent use.
type gather[W, R any] struct {
	do    func(group string, wanted W) R
	clock clock.Clock
	wait  time.Duration

	mu   sync.Mutex
	open map[string]*gathering[W, R] // by group; guarded by mu
}

// gathering is one call to come.
type gathering[W, R any] struct {
	wanted W // guarded by gather.mu until it is closed
	done   chan struct{}
	result R // set when done is closed
}

func newGather[W, R any](c clock.Clock, wait time.Duration, do func(group string, wanted W) R) *gather[W, R] {
	return &gather[W, R]{do: do, clock: c, wait: wait, open: map[string]*gathering[W, R]{}}
}

// join has add enter what the caller wants, and returns what came of all that was entered. The error is that of add.
func (g *gather[W, R]) join(group string, add func(*W) error) (result R, err error) {
	g.mu.Lock()
	now := g.open[group]
	first := now == nil
	if first {
		now = &gathering[W, R]{done: make(chan struct{})}
	}
	if err := add(&now.wanted); err != nil {
		g.mu.Unlock()
		return result, err
	}
	g.open[group] = now
	g.mu.Unlock()
	if first {
		g.clock.Sleep(g.wait)
		g.mu.Lock()
		delete(g.open, group)
		g.mu.Unlock()
		now.result = g.do(group, now.wanted)
		close(now.done)
	}
	<-now.done
	return now.result, nil
}
