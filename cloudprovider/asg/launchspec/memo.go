package launchspec

import (
	"errors"
	"slices"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// errNotRead is the error of what has not been looked up yet.
var errNotRead = errors.New("not read yet")

// memo remembers what was looked up at AWS, by key, and which keys want looking up. What was good stays good when a
// later lookup fails, unless that tells that it is gone. A look-up that failed is left alone as awsclient.RetryAfter has it. All keys
// are looked up by one call, and so by one permission: while that is denied, one of the keys that were denied is tried at a time, and
// the others once that succeeds. Not safe for concurrent use.
type memo[K comparable, V any] struct {
	// keepFor is how long a value stays fresh; 0 means for ever.
	keepFor func(K) time.Duration
	// goneFor is how long what is gone is left alone; 0 means RetryMost.
	goneFor time.Duration
	entries map[K]*memoEntry[V]
	denial  *denial
}

type memoEntry[V any] struct {
	value   *V
	err     error
	readAt  time.Time
	retryAt time.Time // where err is one that may pass
	failed  int       // times in a row
	wanted  bool
}

// denial is when a call is tried again that was denied.
type denial struct {
	failed  int // times in a row; 0 while the call is not denied
	retryAt time.Time
}

func newMemo[K comparable, V any](keepFor func(K) time.Duration) memo[K, V] {
	return memo[K, V]{keepFor: keepFor, entries: map[K]*memoEntry[V]{}, denial: &denial{}}
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
	var due, denied []K
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
		case awsclient.IsDenied(e.err):
			denied = append(denied, key)
		case e.err != nil && !now.Before(e.retryAt), e.err == nil && keep > 0 && age >= keep:
			due = append(due, key)
		}
	}
	switch {
	case m.denial.failed == 0:
		due = append(due, denied...)
	case len(denied) > 0 && !now.Before(m.denial.retryAt):
		due = append(due, slices.MinFunc(denied, func(a, b K) int { return m.entries[a].readAt.Compare(m.entries[b].readAt) }))
	}
	return due
}

// retry is how long an entry whose lookup failed is left alone.
func (m memo[K, V]) retry(e *memoEntry[V]) time.Duration {
	switch {
	case !isGone(e.err):
		return awsclient.RetryAfter(e.err, e.failed)
	case m.goneFor > 0:
		return m.goneFor
	}
	return RetryMost
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
	if err == nil && awsclient.IsDenied(e.err) {
		*m.denial = denial{} // allowed now
	}
	e.err, e.readAt = err, now
	e.failed++
	switch {
	case err == nil:
		e.value, e.failed = value, 0
	case isGone(err):
		e.value = nil
	case awsclient.IsDenied(err) && !now.Before(m.denial.retryAt): // the first of those that were denied together
		m.denial.failed++
		m.denial.retryAt = now.Add(awsclient.RetryAfter(err, m.denial.failed))
	}
	if err != nil {
		e.retryAt = now.Add(m.retry(e))
	}
}

// expire has the key looked up again.
func (m memo[K, V]) expire(key K) {
	if e := m.entries[key]; e != nil {
		e.readAt = time.Time{}
	}
}
