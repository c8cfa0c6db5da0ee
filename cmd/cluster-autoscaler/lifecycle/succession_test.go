package lifecycle

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// succeed runs one holder of the lease until it has led for a second, and returns whether it found a clean succession. Its work takes so long
// to end, and no longer than the limit.
func succeed(t *testing.T, l *lease, ends, limit time.Duration) bool {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	c, found := election(l), make(chan bool, 1)
	succession := &Succession{Interface: l, Tokens: &TokenTime{Labels: map[string]string{}},
		ReadLabels: func(context.Context) (map[string]string, error) { return nil, nil }}
	c.Lock = succession
	err := Lead(ctx, c, func(ctx context.Context) error {
		found <- succession.Clean()
		time.Sleep(time.Second)
		stop()
		return End(context.WithoutCancel(ctx), Step{Name: "work", Limit: limit, Do: func(context.Context) { time.Sleep(ends) }})
	})
	if ends > min(limit, c.WorkGrace) {
		assert.ErrorIs(t, err, ErrUnfinished, "Lead")
	} else {
		assert.NoError(t, err, "Lead")
	}
	return <-found
}

func TestOnlyTheEndOfWorkMakesSuccessionClean(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLease("one")
		assert.True(t, succeed(t, l, time.Second, time.Minute), "the first holder ever has a predecessor")
		assert.True(t, succeed(t, l, time.Hour, 2*time.Hour), "a holder that had ended its work counts as at work")
		assert.False(t, succeed(t, l, time.Hour, time.Second), "a holder that gave up waiting for its work counts as idle")
		assert.False(t, succeed(t, l, time.Second, time.Minute), "a holder that gave up a step of its end counts as idle")
		time.Sleep(2 * time.Hour) // let the endless work go
		l.change(func() { l.record.HolderIdentity, l.record.LeaseDurationSeconds = "killed", 15 })
		assert.False(t, succeed(t, l, time.Second, time.Minute), "a holder that never released the lease counts as idle")
		l.change(func() { l.record.HolderIdentity, l.record.LeaseDurationSeconds = l.identity, 15 })
		assert.False(t, succeed(t, l, time.Second, time.Minute), "this holder's own killed process counts as idle")
	})
}
