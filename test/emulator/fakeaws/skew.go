package fakeaws

import (
	"net/http"
	"time"
)

// SetClockSkew sets how far AWS's clock is ahead of this machine's, as callers see it: in the Date of every answer, and in the
// times of scaling activities, finished ones included, of events and of messages. Below zero it is behind.
func (s *Server) SetClockSkew(d time.Duration) {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	s.account.skew = d
}

// date is the Date of an answer given now.
func (a *account) date() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Now().Add(a.skew).UTC().Format(http.TimeFormat)
}

// skewed is an activity as described, its times by AWS's clock.
func (a *account) skewed(act *activity) xmlActivity {
	x := act.shape()
	if a.skew != 0 {
		x.StartTime = timestamp(act.started.Add(a.skew))
		if !act.ended.IsZero() {
			x.EndTime = timestamp(act.ended.Add(a.skew))
		}
	}
	return x
}
