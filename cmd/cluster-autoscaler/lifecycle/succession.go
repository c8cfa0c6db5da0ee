package lifecycle

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// releasedSeconds is the duration in the record of a lease that its holder has released after the end of its work. client-go's elector, and so the
// stock autoscaler, writes the same.
const releasedSeconds = 1

// Succession is a lock that knows how the lease was left by its last holder, and whose renewals move the time of the tokens. It ends the election
// once it reads another holder of a lease that was ours, or the process was stopped for longer than the lease lasts. The elector itself would try to
// renew it until the renew deadline, while both holders work. One goroutine at a time uses it as a lock. Clean is safe beside it.
type Succession struct {
	resourcelock.Interface
	Tokens *TokenTime
	// ReadLabels returns the labels of the lease.
	ReadLabels func(context.Context) (map[string]string, error)

	lasts      time.Duration // the lease, after its last renewal
	superseded func()        // ends the election
	clean      atomic.Bool
	renewed    time.Time // before the last write, each of which makes the lease ours
}

// Get is the lock's own. The election calls it last just before it takes the lease. After a stop Get asks nobody: the caches are from before it, and the
// work must not act on them meanwhile.
func (s *Succession) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	if since := time.Since(s.renewed); !s.renewed.IsZero() && since > s.lasts {
		s.superseded()
		return nil, nil, fmt.Errorf("this process was stopped, and renewed its lease last %s ago: it ends, to restart with fresh caches",
			since.Round(time.Second))
	}
	record, raw, err := s.Interface.Get(ctx)
	if err == nil && !s.renewed.IsZero() && record.HolderIdentity != "" && record.HolderIdentity != s.Identity() {
		s.superseded()
	}
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
