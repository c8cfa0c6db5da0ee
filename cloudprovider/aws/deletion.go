package aws

import (
	"context"
	"errors"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
)

// A deletion waits gatherFor for others of its group, unless the flags say longer. The core deletes nodes one by one, each from a goroutine of
// its own, so that the deletions of one loop come within milliseconds, or with pods of DaemonSets to evict a little later.
const gatherFor = 200 * time.Millisecond

// terminateTogether terminates the instances, together with the instances of other callers. It waits longer than the caller's context for other
// writes to the group, because the node would get new pods.
func (p *Provider) terminateTogether(_ context.Context, group string, ids []string) error {
	err := p.cache.TerminateTogether(p.ctx, group, ids, false, p.gatherFor)
	p.adopt(group)
	return err
}

// terminate terminates the instances of the group and takes the result into the view of the current loop. It waits for other writes to the
// group until ctx ends.
func (p *Provider) terminate(ctx context.Context, group string, ids []string) error {
	_, err := p.cache.Terminate(ctx, group, ids)
	p.adopt(group)
	return err
}

// forceTerminate terminates the instances of the group. AWS replaces instances that the minimum size asks for.
func (p *Provider) forceTerminate(ctx context.Context, name string, ids []string) error {
	err := p.terminate(ctx, name, ids)
	var partial *asg.TerminationError
	if !errors.As(err, &partial) {
		return err
	}
	var needed []string
	for id, why := range partial.Stays {
		var limit *group.LimitError
		if errors.As(why, &limit) {
			needed = append(needed, id)
			delete(partial.Stays, id)
		}
	}
	_, replaceErr := p.cache.Replace(ctx, name, needed)
	p.adopt(name)
	if len(partial.Stays) == 0 {
		return replaceErr
	}
	return errors.Join(err, replaceErr)
}
