package dryrun

import (
	"context"
	"sync"
)

// Guard keeps the writes of one dry run. It is safe for concurrent use.
type Guard struct {
	failed context.CancelCauseFunc

	mu       sync.Mutex
	answered []string
	launches int // calls that ask for instances
	launched int // instances
}

// New makes a Guard. It calls failed once a read fails without which a dry run decides nothing.
func New(failed context.CancelCauseFunc) *Guard { return &Guard{failed: failed} }

// Answered names the writes that the Guard answered itself, in their order.
func (g *Guard) Answered() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.answered...)
}

// Launches counts the calls that asked for instances.
func (g *Guard) Launches() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.launches
}

func (g *Guard) answer(write string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answered = append(g.answered, write)
}
