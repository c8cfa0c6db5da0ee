package fakeaws

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
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
	arn, url string
	random   *rand.Rand
	created  time.Time
	messages []*message // in the order they were sent
	byID     map[string]*message
	expires  time.Time // no message does before
	sent     int
	received int
	deleted  int
	changed  chan struct{} // closed and replaced when a message may have become visible
}

// A message is a message of a queue.
type message struct {
	id       string
	body     string
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

// find returns the message of a receipt handle, and whether the handle is its newest. The message is nil if it does not exist
// any more.
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
