package asg

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// keyOf returns the key of a planned request, g being the group behind the plan.
func keyOf(g *group.Group, o launchRequest) idempotencyKey {
	var there []string
	for _, i := range g.Counted() {
		if i.Zone == o.zone {
			there = append(there, i.ID)
		}
	}
	slices.Sort(there)
	return idempotencyKey{zone: o.zone, batch: o.batch, window: windowOf(o.began, tokenAge), members: strings.Join(there, " ")}
}

// windowOf returns the number of the window of that length that contains the moment, counted since 1970.
func windowOf(at time.Time, length time.Duration) int64 { return at.UnixNano() / int64(length) }

// oldUntil returns when a failure past another one can no longer be a replay: the token of the next try is another then. It is zero where the answer is
// no replay.
func (k idempotencyKey) oldUntil() time.Time {
	if k.retryWindow == 0 {
		return time.Time{}
	}
	return time.Unix(0, (k.retryWindow+1)*int64(failureAge))
}

// token makes equal calls one launch: a call with the same key gets the answer of the first. So a process learns the outcome of a launch whose answer
// its predecessor did not live to see, instead of making another. See awaitPredecessor for the edge of a window.
func (l *launcher) token(g *group.Group, as idempotencyKey) string {
	uses := 0
	l.look(g.Name, func(e *entry) { uses = e.keyUses[as] })
	hash := sha256.New()
	for _, p := range []string{g.Name, as.zone, strconv.Itoa(as.batch), strconv.FormatInt(as.window, 10), strconv.Itoa(uses), as.members,
		strconv.FormatInt(as.retryWindow, 10)} {
		_, _ = fmt.Fprintf(hash, "%d:%s", len(p), p)
	}
	return "asga-" + hex.EncodeToString(hash.Sum(nil))[:40]
}

// useKey counts a call that ended, and forgets the keys of past windows.
func (e *entry) useKey(as idempotencyKey) {
	maps.DeleteFunc(e.keyUses, func(old idempotencyKey, _ int) bool { return old.window < as.window })
	e.keyUses[as]++
}

// noteConflict remembers that a previous leader began another launch in the zone. It will end: its instances show, or nothing came of it.
func (l *launcher) noteConflict(name string, o launchRequest) {
	now := l.clock.Now()
	l.groups.update(name, func(e *entry, _ *group.Group) {
		switch since, before := e.conflicts[o.zone]; {
		case !before:
			e.conflicts[o.zone] = now
		case now.Sub(since) >= predecessorCall:
			delete(e.conflicts, o.zone)
			e.useKey(o.key)
		}
	})
}
