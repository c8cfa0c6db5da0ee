package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/util/retry"
	"k8s.io/klog/v2"
)

var errLost = errors.New("the leader lease was lost")

// ErrUnfinished means that the work did not end within its grace.
var ErrUnfinished = errors.New("the work has not ended")

// Election says which lease is held, and for how long things may take.
type Election struct {
	Lock          *Succession
	Holder        func(name string) // receives the name of each new holder, "" for nobody, in a goroutine of its own
	LeaseDuration time.Duration     // others wait this long after the last renewal
	RenewDeadline time.Duration     // the lease is given up if it could not be renewed for this long
	RetryPeriod   time.Duration     // between attempts to take or renew it

	WorkGrace    time.Duration // how long the work may take to end once ctx has
	ReleaseGrace time.Duration // how long releasing the lease may take
}

// Lead waits for the lease, then does the work, and releases the lease when the work has ended. It returns the work's error,
// or ErrUnfinished, nil when ctx ends before the lease was taken, and an error as soon as the lease is lost. The work's context is
// done then, but the work may not have ended. After ctx has ended, Lead returns within the two graces together.
func Lead(ctx context.Context, election Election, work func(context.Context) error) error {
	// The election outlives ctx: the lease is held and renewed until the work has ended.
	electing, stopElecting := context.WithCancel(context.WithoutCancel(ctx))
	defer stopElecting()
	leading := make(chan struct{}, 1)
	election.Lock.lasts, election.Lock.superseded = election.LeaseDuration, stopElecting
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: election.Lock, LeaseDuration: election.LeaseDuration, RenewDeadline: election.RenewDeadline, RetryPeriod: election.RetryPeriod,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { leading <- struct{}{} },
			OnStoppedLeading: func() {},
			OnNewLeader:      election.Holder,
		},
	})
	if err != nil {
		return fmt.Errorf("set up leader election: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		elector.Run(electing)
	}()
	giveBack := func(idle bool) {
		stopElecting()
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), election.ReleaseGrace)
		defer cancel()
		if err := release(limited, election.Lock, ended, idle); err != nil {
			klog.FromContext(ctx).Error(err, "Could not release the leader lease", "lease", election.Lock.Describe())
		}
	}

	select {
	case <-leading:
	case <-ended:
		return errLost
	case <-ctx.Done():
		giveBack(true)
		return nil
	}
	err = whileLeading(ctx, election.WorkGrace, ended, work)
	if !errors.Is(err, errLost) {
		giveBack(!errors.Is(err, ErrUnfinished))
	}
	return err
}

// release gives the lease back, if it is ours, once the election has ended. The elector could do so itself, but it would
// try even after it lost the lease, and would report the loss only when it has waited for an API server that does not answer.
// Work that is not idle may still be writing: Succession shows it to the next holder.
func release(ctx context.Context, lock resourcelock.Interface, electionEnded <-chan struct{}, idle bool) error {
	select {
	case <-electionEnded:
	case <-ctx.Done():
		return ctx.Err()
	}
	// A renewal that the end of the election cut off may still arrive between the reading and the write.
	return retry.RetryOnConflict(retry.DefaultRetry, func() error { return giveUp(ctx, lock, idle) })
}

func giveUp(ctx context.Context, lock resourcelock.Interface, idle bool) error {
	record, _, err := lock.Get(ctx)
	if apierrors.IsNotFound(err) || err == nil && record.HolderIdentity != lock.Identity() {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read it: %w", err)
	}
	now := metav1.Now()
	// A record without a holder, which anybody may take at once.
	released := resourcelock.LeaderElectionRecord{
		LeaderTransitions: record.LeaderTransitions, LeaseDurationSeconds: record.LeaseDurationSeconds, AcquireTime: now, RenewTime: now,
	}
	if idle {
		released.LeaseDurationSeconds = releasedSeconds
	}
	if err := lock.Update(ctx, released); err != nil {
		return fmt.Errorf("update it: %w", err)
	}
	return nil
}

// whileLeading does the work until it ends, ctx ends and its grace with it, or the lease is lost.
func whileLeading(ctx context.Context, grace time.Duration, lost <-chan struct{}, work func(context.Context) error) error {
	working, stopWork := context.WithCancelCause(ctx)
	defer stopWork(nil)
	done := make(chan error, 1)
	go func() { done <- work(working) }()
	select {
	case err := <-done:
		return err
	case <-lost:
		stopWork(errLost)
		return errLost
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(grace):
		klog.FromContext(ctx).Info("Gave up waiting for the work to end", "limit", grace)
		return ErrUnfinished
	}
}
