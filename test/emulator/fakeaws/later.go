package fakeaws

import (
	"net/http"
	"time"
)

// later is the result of an operation that takes time. do runs after that, with the account's state locked.
type later struct {
	after time.Duration
	do    func() (any, error)
	hold  time.Duration // of the result
}

// await waits for a later result. The caller's departure does not stop it, but the Server's Close does.
func (s *Server) await(l later) (result any, err error) {
	done := make(chan struct{})
	s.timeline.after(l.after, func() {
		s.account.mu.Lock()
		defer s.account.mu.Unlock()
		result, err = l.do()
		s.timeline.after(l.hold, func() { close(done) })
	})
	select {
	case <-done:
		return result, err
	case <-s.stop:
		panic(http.ErrAbortHandler)
	}
}
