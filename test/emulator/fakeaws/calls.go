package fakeaws

import (
	"maps"
	"net/url"
	"sync"
	"time"
)

// maxCallsKept bounds the log of single calls. Counts go on beyond it.
const maxCallsKept = 50_000

// A Call is one answered AWS request.
type Call struct {
	Time     time.Time     `json:"time"` // when it arrived
	Service  string        `json:"service"`
	Action   string        `json:"action"`
	By       string        `json:"by,omitempty"` // access key ID the request is signed with
	Agent    string        `json:"agent,omitempty"`
	Params   url.Values    `json:"params,omitempty"`
	Code     string        `json:"code,omitempty"`   // error code, or none
	Faults   int           `json:"faults,omitempty"` // number of the faults that hit it
	Duration time.Duration `json:"durationNanos"`
}

// callLog counts calls by action and keeps the last ones.
type callLog struct {
	mu     sync.Mutex
	counts map[string]int
	log    []Call
}

func newCallLog() *callLog { return &callLog{counts: map[string]int{}} }

func (l *callLog) add(c Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[c.Action]++
	if len(l.log) >= maxCallsKept {
		l.log = append(l.log[:0], l.log[maxCallsKept/2:]...)
	}
	l.log = append(l.log, c)
}

// Calls counts the requests answered since the start or the last ResetCalls, failed ones included, by action.
func (s *Server) Calls() map[string]int {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	return maps.Clone(s.calls.counts)
}

// CallLog returns the requests themselves, oldest first, at least the newest 25,000.
func (s *Server) CallLog() []Call {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	return append([]Call(nil), s.calls.log...)
}

// ResetCalls starts counting afresh.
func (s *Server) ResetCalls() {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	s.calls.counts, s.calls.log = map[string]int{}, nil
}
