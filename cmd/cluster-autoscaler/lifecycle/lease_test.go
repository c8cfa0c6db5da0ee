package lifecycle

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

type lease struct {
	identity string
	mu       *sync.Mutex
	record   *resourcelock.LeaderElectionRecord
	log      func(string)
	labels   map[string]string
	hang     chan struct{} // calls wait for it, if not nil
	conflict bool          // updates meet a newer version
	late     bool          // the next update does, because a renewal that was given up has arrived
	stop     time.Duration // the process stops for so long in the next update, which fails
	read     bool          // since the stop
}

func newLease(identity string) *lease {
	return &lease{identity: identity, mu: &sync.Mutex{}, record: &resourcelock.LeaderElectionRecord{}, log: func(string) {}, labels: map[string]string{}}
}

// change has the lease as another process or a broken API server leaves it.
func (l *lease) change(how func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	how()
}

func (l *lease) wait(ctx context.Context) error {
	l.mu.Lock()
	hang := l.hang
	l.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (l *lease) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	if err := l.wait(ctx); err != nil {
		return nil, nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.read = l.stop > 0
	if l.record.RenewTime.IsZero() {
		return nil, nil, apierrors.NewNotFound(schema.GroupResource{Resource: "leases"}, "cluster-autoscaler")
	}
	record := *l.record
	return &record, []byte(record.HolderIdentity + record.RenewTime.String()), nil
}

func (l *lease) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.Update(ctx, record)
}

func (l *lease) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	if err := l.wait(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Sleep(l.stop); l.stop > 0 {
		return context.DeadlineExceeded
	}
	if late := l.late; l.conflict || late {
		l.late = false
		return apierrors.NewConflict(schema.GroupResource{Resource: "leases"}, "cluster-autoscaler", nil)
	}
	if record.HolderIdentity != l.record.HolderIdentity {
		l.log("holder " + record.HolderIdentity)
	}
	*l.record = record
	return nil
}

func (l *lease) holder() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.record.HolderIdentity
}

func (l *lease) RecordEvent(string) {}
func (l *lease) Identity() string   { return l.identity }
func (l *lease) Describe() string   { return "kube-system/cluster-autoscaler" }

func election(l *lease) Election {
	succession := &Succession{Interface: l, Tokens: &TokenTime{Labels: map[string]string{}},
		ReadLabels: func(context.Context) (map[string]string, error) { return nil, nil }}
	return Election{
		Lock: succession, LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 2 * time.Second,
		WorkGrace: 3 * time.Second, ReleaseGrace: time.Second,
	}
}

func TestLeaseIsReleasedAfterWorkHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []string
		began := time.Now()
		log := func(what string) { events = append(events, time.Since(began).String()+" "+what) }
		l := newLease("one")
		l.log = log
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		err := Lead(ctx, election(l), func(ctx context.Context) error {
			log("work begins")
			<-ctx.Done()
			time.Sleep(2 * time.Second)
			log("work ends")
			return nil
		})
		log("returned")
		want := []string{"0s holder one", "0s work begins", "1m2s work ends", "1m2s holder ", "1m2s returned"}
		diff := cmp.Diff(want, events)
		assert.Truef(t, diff == "" && err == nil, "Lead = %v, events (-want +got):\n%s", err, diff)
	})
}

func TestRenewalThatArrivesLateKeepsNoLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLease("a")
		err := Lead(t.Context(), election(l), func(context.Context) error {
			l.change(func() { l.late = true })
			return nil
		})
		assert.Truef(t, err == nil && l.holder() == "", "Lead = %v with the lease %+v, want nobody's", err, l.record)
	})
}

func TestLeaseIsReleasedWhenWorkFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := errors.New("no provider")
		for _, tt := range []struct {
			err  error
			want int // seconds in the record, by which the next holder knows whether the work has ended
		}{{failed, releasedSeconds}, {errors.Join(failed, ErrUnfinished), 15}} {
			l := newLease("one")
			err := Lead(t.Context(), election(l), func(context.Context) error { return tt.err })
			assert.Truef(t, errors.Is(err, failed) && l.holder() == "" && l.record.LeaseDurationSeconds == tt.want,
				"Lead = %v with the lease %+v, want %v and nobody's for %d s", err, l.record, tt.err, tt.want)
		}
	})
}

func TestEndlessWorkAndHangingLeaseAreGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLease("one")
		ctx, stop := context.WithCancel(t.Context())
		release := make(chan struct{})
		var began time.Time
		err := Lead(ctx, election(l), func(context.Context) error {
			l.change(func() { l.hang = make(chan struct{}) })
			began = time.Now()
			stop()
			<-release
			return nil
		})
		took := time.Since(began)
		assert.Truef(t, took == 4*time.Second && errors.Is(err, ErrUnfinished), "Lead = %v after %v, want it unfinished after 4s", err, took)
		close(release)
		time.Sleep(time.Minute) // let the election end
	})
}

// An API server that does not answer must not delay the news: others take the lease 15 s after its last renewal.
func TestLostLeaseIsReportedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLease("one")
		var cause error
		stopped := make(chan struct{})
		began := time.Now()
		err := Lead(t.Context(), election(l), func(ctx context.Context) error {
			l.change(func() { l.hang = make(chan struct{}) })
			<-ctx.Done()
			cause = context.Cause(ctx)
			close(stopped)
			time.Sleep(time.Hour)
			return nil
		})
		if took := time.Since(began); !errors.Is(err, errLost) || took > 12*time.Second {
			t.Errorf("Lead = %v after %v, want %v within the renew deadline and a retry, 12s", err, took, errLost)
		}
		<-stopped
		assert.Truef(t, errors.Is(cause, errLost), "the work was stopped because of %v, want %v", cause, errLost)
		time.Sleep(2 * time.Hour) // let the work go
	})
}

// A process that was paused longer than its lease lasts works beside the next holder until it knows.
func TestLeaseTakenByAnotherEndsTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLease("one")
		began := time.Now()
		err := Lead(t.Context(), election(l), func(ctx context.Context) error {
			l.change(func() { l.record.HolderIdentity, l.conflict = "other", true })
			<-ctx.Done()
			return nil
		})
		if took := time.Since(began); !errors.Is(err, errLost) || took > 3*time.Second || l.holder() != "other" {
			t.Errorf("Lead = %v after %v with the lease held by %q, want %v within a retry period", err, took, l.holder(), errLost)
		}
	})
}

// A process that was stopped has caches from before, and must not work with them until the API server answers.
func TestStopLongerThanTheLeaseEndsTheWorkAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLease("one")
		began := time.Now()
		err := Lead(t.Context(), election(l), func(ctx context.Context) error {
			time.Sleep(time.Minute)
			// The elector's next call hangs over the stop, and so does each one after.
			l.change(func() { l.stop = 20 * time.Second })
			<-ctx.Done()
			return nil
		})
		if took := time.Since(began); !errors.Is(err, errLost) || took > time.Minute+22*time.Second || l.read {
			t.Errorf("Lead = %v after %v, read the lease: %t; want %v as the stop ends, without a call", err, took, l.read, errLost)
		}
	})
}

func TestLeaseHeldElsewhereIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := newLease("other")
		mine := *other
		mine.identity = "one"
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		worked := false
		go func() {
			_ = Lead(ctx, election(other), func(ctx context.Context) error { <-ctx.Done(); return nil })
		}()
		time.Sleep(time.Second)
		short, stopShort := context.WithTimeout(ctx, 20*time.Second)
		defer stopShort()
		err := Lead(short, election(&mine), func(context.Context) error { worked = true; return nil })
		assert.Truef(t, err == nil && !worked && time.Until(func() time.Time { d, _ := ctx.Deadline(); return d }()) == 39*time.Second,
			"Lead = %v, worked %v; want to wait until told to stop", err, worked)
		assert.Equal(t, "other", other.holder(), "the lease's holder after the end of a process that waited for it")
		<-ctx.Done()
		time.Sleep(time.Minute)
		assert.Equal(t, "", other.holder(), "lease held, want nobody")
	})
}

func TestInvalidConfigurationIsRefused(t *testing.T) {
	c := election(newLease("one"))
	c.RenewDeadline = c.LeaseDuration
	assert.Error(t, Lead(t.Context(), c, nil), "Lead accepted a renew deadline as long as the lease")
}

func TestStepsRunInOrderWithinTheirLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var order []string
		began := time.Now()
		takes := func(name string, d, limit time.Duration) Step {
			return Step{Name: name, Limit: limit, Do: func(ctx context.Context) {
				deadline, _ := ctx.Deadline()
				assert.Equalf(t, limit, time.Until(deadline), "time that %s has left", name)
				mu.Lock()
				order = append(order, name+" at "+time.Since(began).String())
				mu.Unlock()
				time.Sleep(d)
			}}
		}
		err := End(t.Context(),
			takes("quick", 100*time.Millisecond, time.Second),
			takes("stuck", time.Hour, 2*time.Second),
			takes("last", 0, time.Second),
		)
		assert.ErrorIs(t, err, ErrUnfinished, "a step was given up")
		mu.Lock()
		defer mu.Unlock()
		assert.Empty(t, cmp.Diff([]string{"quick at 0s", "stuck at 100ms", "last at 2.1s"}, order), "steps (-want +got)")
		assert.Equal(t, 2100*time.Millisecond, time.Since(began), "took, want 2.1s")
		time.Sleep(2 * time.Hour) // let the stuck step go
	})
}

// succeed runs one holder of the lease until it has led for a second, and returns whether it found a clean succession. Its work takes so long
// to end, and no longer than the limit.
func succeed(t *testing.T, l *lease, ends, limit time.Duration) bool {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	c, found := election(l), make(chan bool, 1)
	err := Lead(ctx, c, func(ctx context.Context) error {
		found <- c.Lock.Clean()
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
