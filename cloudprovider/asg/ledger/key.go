package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
)

// Key identifies a launch: equal for two leaders that want the same, different for two launches in a row. It seeds the client token.
type Key struct {
	zone        string
	batch       int
	window      int64 // since 1970, counted in TokenAge
	members     string
	retryWindow int64 // since 1970, counted in FailureAge: a retry past a failure that may be old. Else zero
}

// KeyOf returns the key of a launch in the zone that begins now, g being the group behind the plan. batch is its number among the launches in the zone.
func KeyOf(g *group.Group, zone string, batch int, now time.Time) Key {
	var there []string
	for _, i := range g.Counted() {
		if i.Zone == zone {
			there = append(there, i.ID)
		}
	}
	slices.Sort(there)
	return Key{zone: zone, batch: batch, window: windowOf(now, TokenAge), members: strings.Join(there, " ")}
}

// windowOf returns the number of the window of that length that contains the moment, counted since 1970.
func windowOf(at time.Time, length time.Duration) int64 { return at.UnixNano() / int64(length) }

// Retry returns the key of a retry past a failure that may be old.
func (k Key) Retry(now time.Time) Key {
	k.retryWindow = windowOf(now, FailureAge)
	return k
}

// OldUntil returns when a failure past another one can no longer be a replay: the token of the next try is another then. It is zero where the answer is
// no replay.
func (k Key) OldUntil() time.Time {
	if k.retryWindow == 0 {
		return time.Time{}
	}
	return time.Unix(0, (k.retryWindow+1)*int64(FailureAge))
}

// Token makes equal calls one launch: a call with the same key gets the answer of the first. So a process learns the outcome of a launch whose answer
// its predecessor did not live to see, instead of making another. uses is how many calls with the key have ended. See LastPredecessor for the edge of a
// window.
func (k Key) Token(name string, uses int) string {
	hash := sha256.New()
	for _, p := range []string{name, k.zone, strconv.Itoa(k.batch), strconv.FormatInt(k.window, 10), strconv.Itoa(uses), k.members,
		strconv.FormatInt(k.retryWindow, 10)} {
		_, _ = fmt.Fprintf(hash, "%d:%s", len(p), p)
	}
	return "asga-" + hex.EncodeToString(hash.Sum(nil))[:40]
}
