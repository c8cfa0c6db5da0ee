package asg

import (
	"errors"
	"time"
)

// errNotRead is the error of what has not been looked up yet.
var errNotRead = errors.New("not read yet")

// A lookup that failed is left alone for retryFirst, and for twice as long each time it fails again, up to retryMost. What does
// not exist is left alone for retryMost from the first.
const (
	retryFirst = 2 * time.Second
	retryMost  = time.Minute
)

// memo remembers what was looked up at AWS, by key, and which keys want looking up. What was good stays good when a
// later lookup fails, unless that tells that it is gone. Not safe for concurrent use.
type memo[K comparable, V any] struct {
	// keepFor is how long a value stays fresh; 0 means for ever.
	keepFor func(K) time.Duration
	// goneFor is how long what is gone is left alone; 0 means retryMost.
	goneFor time.Duration
	entries map[K]*memoEntry[V]
}

type memoEntry[V any] struct {
	value  *V
	err    error
	readAt time.Time
	failed int // times in a row
	wanted bool
}

func newMemo[K comparable, V any](keepFor func(K) time.Duration) memo[K, V] {
	return memo[K, V]{keepFor: keepFor, entries: map[K]*memoEntry[V]{}}
}

// get returns the value, nil when there never was one, and the error of the last lookup.
func (m memo[K, V]) get(key K) (*V, error) {
	if e := m.entries[key]; e != nil {
		return e.value, e.err
	}
	return nil, errNotRead
}

// want notes that the key is in use.
func (m memo[K, V]) want(key K) {
	if e := m.entries[key]; e != nil {
		e.wanted = true
		return
	}
	m.entries[key] = &memoEntry[V]{err: errNotRead, wanted: true}
}

// due returns the wanted keys whose value is missing, expired, or failed a while ago, and forgets those nobody wants.
func (m memo[K, V]) due(now time.Time) []K {
	var due []K
	for key, e := range m.entries {
		if !e.wanted {
			delete(m.entries, key)
			continue
		}
		e.wanted = false
		keep := m.keepFor(key)
		switch age := now.Sub(e.readAt); {
		case e.readAt.IsZero():
			due = append(due, key)
		case e.err != nil && age >= m.retry(e), e.err == nil && keep > 0 && age >= keep:
			due = append(due, key)
		}
	}
	return due
}

// retry is how long an entry whose lookup failed is left alone.
func (m memo[K, V]) retry(e *memoEntry[V]) time.Duration {
	switch {
	case !isGone(e.err):
		return min(retryFirst<<min(e.failed-1, 10), retryMost)
	case m.goneFor > 0:
		return m.goneFor
	}
	return retryMost
}

// failing reports whether a lookup failed for a reason that may pass.
func (m memo[K, V]) failing() bool {
	for _, e := range m.entries {
		if e.err != nil && !isGone(e.err) {
			return true
		}
	}
	return false
}

// put enters the outcome of a lookup.
func (m memo[K, V]) put(key K, value *V, err error, now time.Time) {
	e := m.entries[key]
	if e == nil {
		e = &memoEntry[V]{}
		m.entries[key] = e
	}
	e.err, e.readAt = err, now
	e.failed++
	switch {
	case err == nil:
		e.value, e.failed = value, 0
	case isGone(err):
		e.value = nil
	}
}

// expire has the key looked up again.
func (m memo[K, V]) expire(key K) {
	if e := m.entries[key]; e != nil {
		e.readAt = time.Time{}
	}
}
