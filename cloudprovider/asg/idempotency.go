package asg

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// keyOf is what the order is an attempt at, g being the group by which it was planned.
func keyOf(g *Group, o launchRequest) idempotencyKey {
	var there []string
	for _, i := range g.Counted() {
		if i.Zone == o.zone {
			there = append(there, i.ID)
		}
	}
	slices.Sort(there)
	return idempotencyKey{zone: o.zone, batch: o.batch, window: windowOf(o.began, tokenAge), members: strings.Join(there, " ")}
}

// windowOf is the window that a moment is in, of those that are so long, counted since 1970.
func windowOf(at time.Time, length time.Duration) int64 { return at.UnixNano() / int64(length) }

// token makes a call one launch: whoever asks for the same group, zone and part, with the same instances there, in the same
// window, gets the answer of the first. So a process that comes after one that did not live to see the answer finds out the
// outcome of the launch instead of making another. See outlast for the edge of a window.
func (l *launcher) token(g *Group, as idempotencyKey) string {
	hash := sha256.New()
	for _, p := range []string{g.Name, as.zone, strconv.Itoa(as.batch), strconv.FormatInt(as.window, 10), strconv.Itoa(l.groups.keyUses(g.Name, as)), as.members,
		strconv.FormatInt(as.retryWindow, 10)} {
		_, _ = fmt.Fprintf(hash, "%d:%s", len(p), p)
	}
	return "asga-" + hex.EncodeToString(hash.Sum(nil))[:40]
}

// useKey counts a call whose end was seen, and forgets those that nothing can be taken for any more.
func (e *entry) useKey(as idempotencyKey) {
	maps.DeleteFunc(e.keyUses, func(old idempotencyKey, _ int) bool { return old.window < as.window })
	e.keyUses[as]++
}

// noteConflict remembers that a process before us began another launch in the zone. Its end is waited for: either its instances
// show, or nothing came of it.
func (l *launcher) noteConflict(name string, o launchRequest) {
	now := l.clock.Now()
	l.groups.update(name, func(e *entry, _ *Group) {
		switch since, before := e.conflicts[o.zone]; {
		case !before:
			e.conflicts[o.zone] = now
		case now.Sub(since) >= predecessorCall:
			delete(e.conflicts, o.zone)
			e.useKey(o.key)
		}
	})
}
