package lifecycle

import (
	"context"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// releasedSeconds is the duration in the record of a lease that its holder has released after the end of its work. client-go's elector, and so the
// stock autoscaler, writes the same.
const releasedSeconds = 1

// Succession is a lock that knows how the lease was left by its last holder, and whose renewals move the time of the tokens. It is safe for
// concurrent use.
type Succession struct {
	resourcelock.Interface
	Tokens *TokenTime
	// ReadLabels returns the labels of the lease.
	ReadLabels func(context.Context) (map[string]string, error)

	clean   atomic.Bool
	renewed time.Time // before the last write, each of which makes the lease ours. Used by one goroutine at a time
}

// Get is the lock's own. The election calls it last just before it takes the lease.
func (s *Succession) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := s.Interface.Get(ctx)
	released := err == nil && record.HolderIdentity == "" && record.LeaseDurationSeconds == releasedSeconds
	s.clean.Store(released || apierrors.IsNotFound(err))
	if err == nil {
		var labels map[string]string
		if labels, err = s.ReadLabels(ctx); err == nil {
			s.Tokens.find(labels)
		}
	}
	return record, raw, err
}

func (s *Succession) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return s.renew(func() error { return s.Interface.Create(ctx, record) })
}

func (s *Succession) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return s.renew(func() error { return s.Interface.Update(ctx, record) })
}

func (s *Succession) renew(write func() error) error {
	s.Tokens.beginRenewal()
	at := time.Now()
	err := write()
	s.Tokens.endRenewal(err)
	if err == nil {
		s.renewed = at
	}
	return err
}

// Clean reports whether no work of an earlier holder can be under way: there was none, or it released the lease when its work had ended. The work
// asks once, as it begins.
func (s *Succession) Clean() bool { return s.clean.Load() }
