package launchspec

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

var errNotRead = errors.New("not read yet")

// memo remembers look-ups at AWS by key, and which keys are due. A good value stays when a later look-up fails, unless the object is gone. A failed
// look-up waits for awsclient.RetryAfter. One call, and so one permission, serves all keys: while AWS denies it, one denied key is tried at a time,
// and the others once that succeeds. Not safe for concurrent use.
type memo[K comparable, V any] struct {
	clock   clock.PassiveClock
	keepFor time.Duration // how long a value stays fresh, 0 for ever
	goneFor time.Duration // how long a missing object is left alone, 0 for RetryMost
	entries map[K]*memoEntry[V]
	denial  *denial
}

type memoEntry[V any] struct {
	value   *V
	err     error
	readAt  time.Time
	retryAt time.Time // after an error that may pass
	failed  int       // times in a row
	wanted  bool
}

type denial struct {
	failed  int // times in a row, 0 while the call is allowed
	retryAt time.Time
}

func newMemo[K comparable, V any](c clock.PassiveClock, keepFor time.Duration) memo[K, V] {
	return memo[K, V]{clock: c, keepFor: keepFor, entries: map[K]*memoEntry[V]{}, denial: &denial{}}
}

// get returns the value, nil if there never was one, and the error of the last look-up.
func (m memo[K, V]) get(key K) (*V, error) {
	if e := m.entries[key]; e != nil {
		return e.value, e.err
	}
	return nil, errNotRead
}

// unsure reports whether a key never had a value, and one of its first look-ups may still bring it.
func (m memo[K, V]) unsure(key K) bool {
	e := m.entries[key]
	return e == nil || e.value == nil && e.failed < unsureTries && !lasts(e.err)
}

func (m memo[K, V]) want(key K) {
	if e := m.entries[key]; e != nil {
		e.wanted = true
		return
	}
	m.entries[key] = &memoEntry[V]{err: errNotRead, wanted: true}
}

// due returns the wanted keys whose value is missing, expired or due for a retry, and forgets unwanted keys.
func (m memo[K, V]) due() []K {
	var due, denied []K
	now := m.clock.Now()
	for key, e := range m.entries {
		if !e.wanted {
			delete(m.entries, key)
			continue
		}
		e.wanted = false
		switch age := now.Sub(e.readAt); {
		case e.readAt.IsZero():
			due = append(due, key)
		case awsclient.IsDenied(e.err):
			denied = append(denied, key)
		case e.err != nil && !now.Before(e.retryAt), e.err == nil && m.keepFor > 0 && age >= m.keepFor:
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

// failing reports whether a look-up failed for a reason that may pass, or is due because a call is no longer denied.
func (m memo[K, V]) failing() bool {
	for _, e := range m.entries {
		if e.err != nil && (!lasts(e.err) || awsclient.IsDenied(e.err) && m.denial.failed == 0) {
			return true
		}
	}
	return false
}

func (m memo[K, V]) put(key K, value *V, err error) {
	e, now := m.entries[key], m.clock.Now()
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
	case awsclient.IsDenied(err) && !now.Before(m.denial.retryAt): // the first of those denied together
		m.denial.failed++
		m.denial.retryAt = now.Add(awsclient.RetryAfter(err, min(m.denial.failed, awsclient.MostDenials)))
	}
	if err != nil {
		retry := awsclient.RetryAfter(err, e.failed)
		if isGone(err) {
			retry = cmp.Or(m.goneFor, RetryMost)
		}
		e.retryAt = now.Add(retry)
	}
}

// fetch looks up the keys by one call each, a few at a time, and enters the results.
func (m memo[K, V]) fetch(ctx context.Context, keys []K, lookUp func(context.Context, K) (*V, error)) {
	m.fetchBatches(ctx, keys, 1, func(ctx context.Context, batch []K) (map[K]*V, error) {
		found, err := lookUp(ctx, batch[0])
		return map[K]*V{batch[0]: found}, err
	})
}

// fetchBatches is fetch with calls for so many keys at most. lookUp leaves missing objects out of its answer.
func (m memo[K, V]) fetchBatches(ctx context.Context, keys []K, size int, lookUp func(context.Context, []K) (map[K]*V, error)) {
	batches := slices.Collect(slices.Chunk(keys, size))
	found, errs := make([]map[K]*V, len(batches)), make([]error, len(batches))
	awsclient.Parallel(len(batches), lookupsAtOnce, func(at int) { found[at], errs[at] = lookUp(ctx, batches[at]) })
	for at, batch := range batches {
		for _, key := range batch {
			err := errs[at]
			if err == nil && found[at][key] == nil {
				err = errGone
			}
			m.put(key, found[at][key], err)
		}
	}
}

// expireIf makes a value due by when it was read. A failed look-up still waits.
func (m memo[K, V]) expireIf(key K, stale func(readAt time.Time) bool) {
	if e := m.entries[key]; e != nil && e.err == nil && stale(e.readAt) {
		e.readAt = time.Time{}
	}
}

func (m memo[K, V]) expire(key K) {
	if e := m.entries[key]; e != nil {
		e.readAt = time.Time{}
	}
}
