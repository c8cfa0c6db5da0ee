package dryrun

import (
	"context"
	"fmt"
	"sync"
)

// Guard keeps the writes of one dry run. It is safe for concurrent use.
type Guard struct {
	failed  context.CancelCauseFunc
	refuses bool   // see Refusing
	lease   string // the path of the one lease that may be written

	mu       sync.Mutex
	answered []string
	launches int // calls that ask for instances
	launched int // instances
}

const mostNamed = 10_000

// Refusing makes a Guard that refuses every write except to the process's own lease, in a process that goes on reading and in which nobody should
// try one.
func Refusing(namespace, lease string) *Guard {
	return &Guard{refuses: true, lease: "/apis/coordination.k8s.io/v1/namespaces/" + namespace + "/leases/" + lease, failed: func(error) {}}
}

// New makes a Guard. It calls failed once a read fails without which a dry run decides nothing.
func New(failed context.CancelCauseFunc) *Guard { return &Guard{failed: failed} }

// Answered names the writes that the Guard answered itself or refused, in their order.
func (g *Guard) Answered() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.answered...)
}

func (g *Guard) Launches() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.launches
}

// answer notes a write. The error refuses it.
func (g *Guard) answer(write string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answered = append(g.answered[:min(len(g.answered), mostNamed-1)], write)
	if write == "LaunchInstances" || write == "SetDesiredCapacity" {
		g.launches++
	}
	if !g.refuses {
		return nil
	}
	return fmt.Errorf("a shadow writes nothing: %s was refused within the process", write)
}
