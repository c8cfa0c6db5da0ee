package peers

import (
	"context"
	"fmt"
	"time"

	lab "github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

// emptied has the peer launch a node for each pod, deletes all pods at once, and measures how soon after the unneeded time the nodes are
// terminated.
func emptied(count int) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error {
		if _, err := r.react(ctx, onePerNode(count, r.world.groups)...); err != nil {
			return err
		}
		removed := time.Now()
		if err := r.remove(ctx); err != nil {
			return err
		}
		if err := r.count(ctx, removed, lab.PodGone, count); err != nil {
			return err
		}
		gone, _ := lab.Last(r.env.Timeline.Since(removed), lab.PodGone)
		var ends []time.Time
		err := r.until(ctx, func() (bool, error) {
			ends = r.terminated(removed)
			return len(ends) >= count, nil
		})
		if err != nil {
			return fmt.Errorf("%d of %d nodes are terminated: %w", len(ends), count, err)
		}
		due := gone.At.Add(unneededTime)
		r.took("unneeded time over to first termination", due, ends[0])
		r.took("unneeded time over to last termination", due, ends[count-1])
		if r.claims == nil {
			// AWS logs a call with its answer, and the instances go before.
			if err := r.rest(ctx, time.Second); err != nil {
				return err
			}
			r.add("calls that terminate", "", float64(len(r.calls(removed, cuts))))
		}
		return nil
	}
}

// onePerNode are pods of which a node takes one, in equal numbers for each group.
func onePerNode(count int, groups []group) []podSet {
	var sets []podSet
	for _, g := range groups {
		sets = append(sets, podSet{name: "pods-of-" + g.name, count: count / len(groups), cpu: "1200m", group: g.name})
	}
	return sets
}
