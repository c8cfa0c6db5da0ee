package fakeaws

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A queue is a Queue at work. Its methods are called with the account locked.
type queue struct {
	Queue
	arn, url                string
	random                  *rand.Rand
	created                 time.Time
	messages                []*message // in the order they were sent
	byID                    map[string]*message
	expires                 time.Time // no message does before
	sent, received, deleted int
	changed                 chan struct{} // closed and replaced when a message may have become visible
}

type message struct {
	id, body string
	sent     time.Time
	visible  time.Time // from when on it can be received
	receives int
	first    time.Time // when it was first received
	last     time.Time // when it was last received
}

func newQueue(a *account, cfg Queue, seed uint64) *queue {
	return &queue{
		Queue: cfg, created: time.Now(), changed: make(chan struct{}), byID: map[string]*message{},
		random: rand.New(rand.NewPCG(seed, uint64(len(a.queues)+4))),
		arn:    fmt.Sprintf("arn:%s:sqs:%s:%s:%s", a.partition, a.region, a.id, cfg.Name),
		url:    fmt.Sprintf("https://sqs.%s.%s/%s/%s", a.region, domainOf(a.partition), a.id, cfg.Name),
	}
}

func domainOf(partition string) string {
	if partition == "aws-cn" {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}

// chance is true in so many of a hundred cases.
func (q *queue) chance(percent int) bool { return percent > 0 && q.random.IntN(100) < percent }

// send adds a message that can be received delay later.
func (q *queue) send(body string, delay time.Duration) *message {
	q.sent++
	now := time.Now()
	m := &message{id: uuidOf(q.arn, "message", q.sent), body: body, sent: now, visible: now.Add(delay)}
	q.expires = earliest(q.expires, m.sent.Add(q.retention()))
	q.messages, q.byID[m.id] = append(q.messages, m), m
	q.wake()
	return m
}

func (q *queue) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

func (q *queue) remove(m *message) {
	delete(q.byID, m.id)
	if i := slices.Index(q.messages, m); i >= 0 {
		q.messages = slices.Delete(q.messages, i, i+1)
	}
}

// expire drops messages whose retention is over.
func (q *queue) expire(now time.Time) {
	if now.Before(q.expires) {
		return
	}
	q.expires = now.Add(q.retention())
	q.messages = slices.DeleteFunc(q.messages, func(m *message) bool {
		end := m.sent.Add(q.retention())
		if !now.Before(end) {
			delete(q.byID, m.id)
			return true
		}
		q.expires = earliest(q.expires, end)
		return false
	})
}

// take receives up to limit messages and hides them for a while.
func (q *queue) take(limit int, hide time.Duration) []*message {
	now := time.Now()
	q.expire(now)
	var out []*message
	bytes := 0
	for _, m := range q.inOrder() {
		if m.visible.After(now) {
			continue
		}
		if len(out) == limit || len(out) > 0 && bytes+len(m.body) > maxReceivedBytes {
			break
		}
		q.receive(m, now, hide)
		bytes += len(m.body)
		out = append(out, m)
	}
	return out
}

// inOrder are the messages in the order in which one receiver looks at them: the oldest first, or any.
func (q *queue) inOrder() []*message {
	out := slices.Clone(q.messages)
	if q.chance(q.Shuffles) {
		q.random.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	}
	return out
}

func (q *queue) receive(m *message, now time.Time, hide time.Duration) {
	q.received++
	m.receives++
	m.first, m.last = first(m.first, now), now
	if !q.chance(q.Duplicates) {
		m.visible = now.Add(hide)
	}
}

// next is when the first of the hidden messages can be received, zero if there is none.
func (q *queue) next() time.Time {
	var next time.Time
	for _, m := range q.messages {
		if next.IsZero() || m.visible.Before(next) {
			next = m.visible
		}
	}
	return next
}

// handle is the receipt handle of a message's last reception.
func (q *queue) handle(m *message) string {
	return base64.StdEncoding.EncodeToString([]byte(q.arn + " " + m.id + " " + strconv.Itoa(m.receives)))
}

// find returns the message of a receipt handle, and whether the handle is its newest. The message is nil if it does not exist any more.
func (q *queue) find(handle string) (m *message, newest bool, err error) {
	raw, failure := base64.StdEncoding.DecodeString(handle)
	parts := strings.Split(string(raw), " ")
	if failure != nil || len(parts) != 3 || parts[0] != q.arn {
		return nil, false, &apiError{Code: "ReceiptHandleIsInvalid", Message: fmt.Sprintf("The input receipt handle %q is not a valid receipt handle.", handle)}
	}
	m = q.byID[parts[1]]
	return m, m != nil && strconv.Itoa(m.receives) == parts[2], nil
}

func md5Of(body string) string {
	sum := md5.Sum([]byte(body))
	return hex.EncodeToString(sum[:])
}

// A Queue is a standard queue of SQS, and the EventBridge rules that have it as their target. In the configuration file:
//
//	queues:
//	- name: interruptions
//	  retention: 5m
//	  events: [EC2 Spot Instance Interruption Warning, EC2 Instance Rebalance Recommendation]
type Queue struct {
	Name              string   `json:"name"`
	VisibilityTimeout Duration `json:"visibilityTimeout,omitempty"` // 30s
	Retention         Duration `json:"retention,omitempty"`         // 96h
	RedrivePolicy     string   `json:"redrivePolicy,omitempty"`     // only shown: the queue keeps its messages

	// Events are the detail types that a rule sends here, * for all of them.
	Events []string `json:"events,omitempty"`
	Lag    Duration `json:"lag,omitempty"` // from an event to its message

	// By the Config's seed, Duplicates percent of the events become two messages, and as many messages can be received again at
	// once. Shuffles percent of the receivers get the oldest messages no sooner than others.
	Duplicates int `json:"duplicates,omitempty"`
	Shuffles   int `json:"shuffles,omitempty"`
}

// Defaults and limits of SQS (developer guide, "Amazon SQS message quotas", read 2026-11).
const (
	usualVisibility  = 30 * time.Second
	usualRetention   = 96 * time.Hour
	maxVisibility    = 12 * time.Hour
	maxDelay         = 15 * time.Minute
	maxWaitTime      = 20 * time.Second
	maxReceived      = 10 // messages a call, and entries a batch
	maxMessageBytes  = 1 << 20
	maxReceivedBytes = 1 << 20
)

func (q Queue) visibility() time.Duration {
	return first(time.Duration(q.VisibilityTimeout), usualVisibility)
}

func (q Queue) retention() time.Duration { return first(time.Duration(q.Retention), usualRetention) }

func (q Queue) validate() error {
	switch {
	case q.Name == "" || strings.ContainsAny(q.Name, "/: "):
		return fmt.Errorf("queue name %q: want letters, digits, - and _", q.Name)
	case q.VisibilityTimeout < 0 || q.Retention < 0 || q.Lag < 0:
		return fmt.Errorf("queue %q: never is no time", q.Name)
	case q.visibility() > maxVisibility:
		return fmt.Errorf("queue %q: hides messages for over %v", q.Name, maxVisibility)
	case q.Duplicates < 0 || q.Duplicates > 100 || q.Shuffles < 0 || q.Shuffles > 100:
		return fmt.Errorf("queue %q: duplicates %d and shuffles %d are percentages", q.Name, q.Duplicates, q.Shuffles)
	}
	for _, detailType := range q.Events {
		if detailType != "*" && !slices.Contains(detailTypes, detailType) {
			return fmt.Errorf("queue %q: no event %q; there are %q", q.Name, detailType, detailTypes)
		}
	}
	return nil
}

// validateQueues checks the queues.
func (c Config) validateQueues() error {
	names := map[string]bool{}
	var errs []error
	for _, q := range c.Queues {
		errs = append(errs, q.validate())
		if names[q.Name] {
			errs = append(errs, fmt.Errorf("two queues %q", q.Name))
		}
		names[q.Name] = true
	}
	return errors.Join(errs...)
}

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
