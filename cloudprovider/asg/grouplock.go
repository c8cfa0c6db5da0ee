package asg

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// locks lets one write at a time into each group.
type locks struct {
	groups *groups
	writes sync.WaitGroup // the ones under way
}

// lock waits until no other write to the group is under way, and returns what it locked: a group that is recreated later has another entry. unlock
// releases it. A write that has the lock is not cancelled with ctx, because half a write is worse than a late end.
func (l *locks) lock(ctx context.Context, name string) (writing context.Context, unlock func(), e *entry, err error) {
	if e, err = l.beginWrite(name); err != nil {
		return nil, nil, nil, fmt.Errorf("auto scaling group %q: %w", name, err)
	}
	waiting, stopWaiting := context.WithTimeout(ctx, writeTimeout)
	defer stopWaiting()
	select {
	case e.lock <- struct{}{}:
		writing, unlock = l.locked(ctx, e)
		if now, _ := l.groups.entry(name); now != e { // dropped or recreated while we waited
			unlock()
			return nil, nil, nil, notFound(name)
		}
		return writing, unlock, e, nil
	case <-waiting.Done():
		l.writes.Done()
		return nil, nil, nil, fmt.Errorf("auto scaling group %q: wait for the group lock: %w", name, waiting.Err())
	}
}

func (l *locks) tryLock(ctx context.Context, name string) (writing context.Context, unlock func(), ok bool) {
	e, err := l.beginWrite(name)
	if err != nil {
		return nil, nil, false
	}
	select {
	case e.lock <- struct{}{}:
		writing, unlock = l.locked(ctx, e)
		return writing, unlock, true
	default:
		l.writes.Done()
		return nil, nil, false
	}
}

func (l *locks) locked(ctx context.Context, e *entry) (writing context.Context, unlock func()) {
	writing, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	return writing, func() { <-e.lock; cancel(); l.writes.Done() }
}

// errEnding is the error of a write that came after Run began to end.
var errEnding = errors.New("the autoscaler is stopping: nothing was written")

// beginWrite counts a write to the group. The caller must end it with writes.Done.
func (l *locks) beginWrite(name string) (*entry, error) {
	l.groups.mu.Lock()
	defer l.groups.mu.Unlock()
	e := l.groups.entries[name]
	switch {
	case l.groups.ending:
		return nil, errEnding
	case e == nil:
		return nil, ErrGroupNotFound
	}
	if err := l.groups.identity.MayChange(e.Group()); err != nil {
		return nil, err
	}
	l.writes.Add(1)
	return e, nil
}

func (l *locks) endWrites() {
	l.groups.mu.Lock()
	l.groups.ending = true
	l.groups.mu.Unlock()
	l.writes.Wait()
}
