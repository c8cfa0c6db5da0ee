package lifecycle

import (
	"context"
	"errors"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

type labelled struct {
	*lease
	writes map[string]string
	lost   bool // the answer of a renewal
}

func (l *labelled) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	maps.Copy(l.labels, l.writes)
	if err := l.lease.Update(ctx, record); err != nil || l.lost {
		return errors.Join(err, errors.New("no answer"))
	}
	return nil
}

// leader is one process that takes the lease, and renews it when it is told to.
type leader struct {
	*Succession
	lock *labelled
}

func takes(t *testing.T, l *lease) leader {
	t.Helper()
	lock := &labelled{lease: l, writes: map[string]string{}}
	s := leader{&Succession{Interface: lock, Tokens: &TokenTime{Call: 10 * time.Second, Labels: lock.writes},
		ReadLabels: func(context.Context) (map[string]string, error) { return maps.Clone(l.labels), nil }}, lock}
	_, _, _ = s.Get(t.Context()) // nobody has written the first one
	require.NoError(t, s.renew(t))
	return s
}

func (l leader) renew(t *testing.T) error {
	return l.Update(t.Context(), resourcelock.LeaderElectionRecord{HolderIdentity: "one", RenewTime: metav1.Now()})
}

// rest renews the lease every two seconds.
func (l leader) rest(t *testing.T, during time.Duration) {
	for ; during > 0; during -= 2 * time.Second {
		time.Sleep(min(during, 2*time.Second))
		require.NoError(t, l.renew(t))
	}
}

func (l leader) use(t *testing.T) time.Time {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	at, err := l.Tokens.Use(ctx)
	assert.NoError(t, err)
	return at
}

// The leader launches at any moment, also right after it took the lease, and is killed within the time that AWS may take.
func TestSuccessorMakesTheTokensOfItsPredecessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for rest := time.Duration(0); rest <= 30*time.Second; rest += 500 * time.Millisecond {
			for _, lives := range []time.Duration{0, 3 * time.Second, 9 * time.Second} {
				l := newLease("one")
				first := takes(t, l)
				first.rest(t, rest)
				launched := first.use(t)
				first.rest(t, lives)
				next := takes(t, l)
				for range 2 {
					if got := next.use(t); !got.Equal(launched) {
						t.Errorf("killed %v after a launch, %v after it took the lease: the successor's time is off by %v", lives, rest, got.Sub(launched))
					}
					next = takes(t, l)
					next.rest(t, 8*time.Second) // AWS may still be at the launch
				}
			}
		}
	})
}

func TestTokenTimeFollowsTheClockBetweenLaunches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLease("one")
		holder := takes(t, l)
		for range 20 {
			holder.rest(t, time.Minute)
			lag := time.Since(holder.use(t))
			assert.Truef(t, lag <= 15*time.Second, "the time of tokens is %v late", lag)
		}
		time.Sleep(11 * time.Minute)
		lag := time.Since(takes(t, l).use(t))
		assert.Truef(t, lag <= time.Second, "the time of a leader killed 11 minutes ago goes on, %v late", lag)
	})
}

// The lease may have the next time although no answer came. Nothing is launched until that is certain.
func TestLaunchWaitsForTheRenewalThatMovesTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLease("one")
		holder := takes(t, l)
		holder.lock.lost = true
		time.Sleep(20 * time.Second)
		_ = holder.renew(t)
		used := make(chan time.Time, 1)
		go func() { used <- holder.use(t) }()
		time.Sleep(500 * time.Millisecond)
		require.Empty(t, used, "a launch began while nobody knew which time the lease has")
		holder.lock.lost = false
		require.NoError(t, holder.renew(t))
		at, next := <-used, takes(t, l).use(t)
		assert.Truef(t, at.Equal(next), "the successor's time is off by %v", next.Sub(at))
	})
}

// A replica that tried to take the lease in vain goes on with the time of the holder that it follows.
func TestLateCandidateFollowsTheLastHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLease("one")
		candidate := takes(t, l)
		candidate.Tokens.at, candidate.renewed, candidate.lock.lost = time.Time{}, time.Time{}, true
		_ = candidate.renew(t)
		time.Sleep(time.Minute)
		holder := takes(t, l)
		holder.rest(t, time.Minute)
		launched := holder.use(t)
		candidate.lock.lost = false
		_, _, _ = candidate.Get(t.Context())
		require.NoError(t, candidate.renew(t))
		assert.WithinDuration(t, launched, candidate.use(t), 0, "the candidate's time")
	})
}
