package lifecycle

import (
	"context"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// releasedSeconds is the duration in the record of a lease that its holder has released after the end of its work. client-go's elector, and so the
// stock autoscaler, writes the same.
const releasedSeconds = 1

// Succession is a lock that knows how the lease was left by its last holder. It is safe for concurrent use.
type Succession struct {
	resourcelock.Interface
	clean atomic.Bool
}

// Get is the lock's own. The election calls it last just before it takes the lease.
func (s *Succession) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := s.Interface.Get(ctx)
	released := err == nil && record.HolderIdentity == "" && record.LeaseDurationSeconds == releasedSeconds
	s.clean.Store(released || apierrors.IsNotFound(err))
	return record, raw, err
}

// Clean reports whether no work of an earlier holder can be under way: there was none, or it released the lease when its work had ended. The work
// asks once, as it begins.
func (s *Succession) Clean() bool { return s.clean.Load() }
