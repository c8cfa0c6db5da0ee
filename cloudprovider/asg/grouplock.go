package asg

import (
	"context"
	"errors"
	"fmt"
)

// lock waits until no other write to the group is under way, and returns what it locked: a group that is recreated later has another entry. unlock
// releases it. A write that has the lock is not cancelled with ctx, because half a write is worse than a late end.
func (s *groups) lock(ctx context.Context, name string) (writing context.Context, unlock func(), e *entry, err error) {
	if e, err = s.beginWrite(name); err != nil {
		return nil, nil, nil, fmt.Errorf("auto scaling group %q: %w", name, err)
	}
	waiting, stopWaiting := context.WithTimeout(ctx, writeTimeout)
	defer stopWaiting()
	select {
	case e.lock <- struct{}{}:
		writing, unlock = s.locked(ctx, e)
		if now, _ := s.entry(name); now != e { // dropped or recreated while we waited
			unlock()
			return nil, nil, nil, notFound(name)
		}
		return writing, unlock, e, nil
	case <-waiting.Done():
		s.writes.Done()
		return nil, nil, nil, fmt.Errorf("auto scaling group %q: wait for the group lock: %w", name, waiting.Err())
	}
}

func (s *groups) tryLock(ctx context.Context, name string) (writing context.Context, unlock func(), ok bool) {
	e, err := s.beginWrite(name)
	if err != nil {
		return nil, nil, false
	}
	select {
	case e.lock <- struct{}{}:
		writing, unlock = s.locked(ctx, e)
		return writing, unlock, true
	default:
		s.writes.Done()
		return nil, nil, false
	}
}

func (s *groups) locked(ctx context.Context, e *entry) (writing context.Context, unlock func()) {
	writing, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	return writing, func() { <-e.lock; cancel(); s.writes.Done() }
}

// errEnding is the error of a write that came after Run began to end.
var errEnding = errors.New("the autoscaler is stopping: nothing was written")

// beginWrite counts a write to the group. The caller must end it with writes.Done.
func (s *groups) beginWrite(name string) (*entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[name]
	switch {
	case s.ending:
		return nil, errEnding
	case e == nil:
		return nil, ErrGroupNotFound
	}
	if err := s.identity.MayChange(e.Group()); err != nil {
		return nil, err
	}
	s.writes.Add(1)
	return e, nil
}
