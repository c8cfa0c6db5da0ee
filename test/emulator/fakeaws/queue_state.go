package fakeaws

import (
	"fmt"
	"time"
)

// A QueueState is a queue at one moment.
type QueueState struct {
	Name     string `json:"name"`
	URL      string `json:"url"`
	Visible  int    `json:"visible"`  // messages that can be received
	InFlight int    `json:"inFlight"` // received and hidden
	Delayed  int    `json:"delayed"`  // not to be received yet
	Sent     int    `json:"sent"`     // since the start
	Received int    `json:"received"` // receptions, several for a message received again
	Deleted  int    `json:"deleted"`
}

func (q *queue) snapshot() QueueState {
	now := time.Now()
	q.expire(now)
	out := QueueState{Name: q.Name, URL: q.url, Sent: q.sent, Received: q.received, Deleted: q.deleted}
	for _, m := range q.messages {
		switch {
		case !m.visible.After(now):
			out.Visible++
		case m.receives > 0:
			out.InFlight++
		default:
			out.Delayed++
		}
	}
	return out
}

// Queues returns the state of every queue, in the order of the Config.
func (s *Server) Queues() []QueueState {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	out := []QueueState{}
	for _, q := range s.account.queues {
		out = append(out, q.snapshot())
	}
	return out
}

// SendMessage puts a message into a queue, as somebody with a right to send would.
func (s *Server) SendMessage(name, body string) error {
	return s.withQueue(name, func(q *queue) { q.send(body, 0) })
}

// SetQueue changes the configuration of a queue. Its messages stay.
func (s *Server) SetQueue(cfg Queue) error {
	if err := cfg.validate(); err != nil {
		return err
	}
	return s.withQueue(cfg.Name, func(q *queue) { q.Queue, q.expires = cfg, time.Time{} })
}

func (s *Server) withQueue(name string, do func(*queue)) error {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	q := s.account.queue(name)
	if q == nil {
		return fmt.Errorf("no queue %q", name)
	}
	do(q)
	return nil
}

// queue finds a queue by name. It is nil if there is none.
func (a *account) queue(name string) *queue {
	for _, q := range a.queues {
		if q.Name == name {
			return q
		}
	}
	return nil
}
