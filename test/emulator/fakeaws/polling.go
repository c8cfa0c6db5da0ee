package fakeaws

import (
	"context"
	"net/http"
	"time"
)

// polling is the result of an operation that has no answer yet. again is called when something has changed or is due, with the
// account's state locked, and returns the result or another polling.
type polling struct {
	changed <-chan struct{}
	due     time.Time
	again   func() any
}

// poll waits for the result. If the caller leaves, it ends, and takes nothing for the caller.
func (s *Server) poll(ctx context.Context, p polling) any {
	for {
		timer := time.NewTimer(time.Until(p.due))
		select {
		case <-p.changed:
		case <-timer.C:
		case <-ctx.Done():
		case <-s.stop:
		}
		timer.Stop()
		select {
		case <-ctx.Done():
			panic(http.ErrAbortHandler)
		case <-s.stop:
			panic(http.ErrAbortHandler)
		default:
		}
		s.account.mu.Lock()
		result := p.again()
		s.account.mu.Unlock()
		next, ok := result.(polling)
		if !ok {
			return result
		}
		p = next
	}
}
