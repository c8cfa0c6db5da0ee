package lifecycle

import (
	"context"

	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// Succession is a lock whose renewals move the time of the tokens. It is safe for concurrent use.
type Succession struct {
	resourcelock.Interface
	Tokens *TokenTime
	// ReadLabels returns the labels of the lease.
	ReadLabels func(context.Context) (map[string]string, error)
}

// Get is the lock's own. The election calls it last just before it takes the lease.
func (s *Succession) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := s.Interface.Get(ctx)
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
	err := write()
	s.Tokens.endRenewal(err)
	return err
}
