package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
)

// AWS answers a launch whose token it remembers with the instances of the first time. It documents no length for its memory, so nothing depends on
// one beyond a call: tokens change with the window, and nobody asks again for what a reading shows. So a process learns the outcome of a launch that
// a previous leader made. It may also learn of instances that have come and gone since. A reading will never show those.

// KeyOf returns the key of the launch number batch in the zone, g being the group behind the plan, and at the time that successors share.
func KeyOf(g *group.Group, zone string, batch int, at time.Time) Key {
	var there []string
	for _, i := range g.Counted() {
		if i.Zone == zone {
			there = append(there, i.ID)
		}
	}
	slices.Sort(there)
	return Key{zone: zone, batch: batch, window: windowOf(at), members: strings.Join(there, " ")}
}

// windowOf returns the number of the TokenAge that contains the moment, counted since 1970.
func windowOf(at time.Time) int64 { return at.UnixNano() / int64(TokenAge) }

// Token makes equal calls one launch: a call with the same key gets the answer of the first. So a process learns the outcome of a launch whose answer
// its predecessor did not live to see, instead of making another. Calls with the key that have ended count.
func (l *Ledger) Token(name string, k Key) string {
	hash := sha256.New()
	for _, p := range []string{name, k.zone, strconv.Itoa(k.batch), strconv.FormatInt(k.window, 10), strconv.Itoa(l.keyUses[k]), k.members} {
		_, _ = fmt.Fprintf(hash, "%d:%s", len(p), p)
	}
	return "asga-" + hex.EncodeToString(hash.Sum(nil))[:40]
}

// UseKey counts a call that ended, and forgets the keys of past windows.
func (l *Ledger) UseKey(k Key) {
	maps.DeleteFunc(l.keyUses, func(old Key, _ int) bool { return old.window < k.window })
	l.keyUses[k]++
}

// PassOver has the next token of the key used, because a previous leader used this one for another launch. It reports false while that may not have
// ended at the time of the reading behind ours. After that its instances show in the reading, or nothing came of it.
func (l *Ledger) PassOver(k Key, readAt time.Time) (ended bool) {
	if ended = readAt.Sub(l.metAt) >= PredecessorCall; ended {
		l.UseKey(k)
	}
	return ended
}

// MayReplay reports whether a previous leader may have used the tokens of the key.
func (l *Ledger) MayReplay(k Key) bool { return k.window <= windowOf(l.metAt) }

// MayBeOldFailure reports whether a failure with the key may be one that a previous leader had. A process does not retry its own launches.
func (l *Ledger) MayBeOldFailure(k Key) bool {
	return l.keyUses[k] == 0 && l.MayReplay(k)
}

// Grown reports whether all instances that a previous leader asked for have appeared.
func (l *Ledger) Grown(now time.Time) bool { return now.Sub(l.metAt) > predecessorLaunches }

// FromPredecessor counts instances that the fresh reading g has or desires more than before because a previous leader already asked for them. If a zone
// is named, it counts those that appeared in it. It counts in instances of the least weight.
func (l *Ledger) FromPredecessor(before, g *group.Group, zone string, now time.Time) int {
	if before == nil || l.Grown(now) {
		return 0
	}
	grown, come := max(0, g.Held()-before.Held()), 0
	if zone == "" {
		return grown / g.Source.MinWeight()
	}
	for _, i := range g.NewSince(before, zone) {
		come += i.Weight
	}
	return min(come, grown) / g.Source.MinWeight()
}
