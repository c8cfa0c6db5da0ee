package zonal

import (
	"context"
	_ "embed"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// The account and what runs in the cluster.
var (
	//go:embed account.yaml
	accountYAML []byte
	//go:embed stateful.yaml
	statefulYAML string
	//go:embed anywhere.yaml
	anywhereYAML string
	//go:embed spread.yaml
	spreadYAML string
)

const (
	group       = "zonal"
	systemNodes = 3
	shortZone   = "us-east-1b" // of c: not the zone of stock's template
)

// boundTo are the zones of the volumes, by the pod that claims them.
var boundTo = map[string]string{"db-0": "us-east-1a", "db-1": "us-east-1b", "db-2": "us-east-1c"}

// Durations of the observation.
const (
	firstPatience = 2 * time.Minute // in b, for the first pod
	settling      = 4 * time.Minute // in b, after the fall to three replicas
	pendingAfter  = 3 * time.Minute // age at which pods that still wait are counted
)

// A scenario is a sequence of changes to a cluster, and a way to count the outcome.
type scenario struct {
	name  string
	title string
	pods  int // that are to run
	do    func(context.Context, *run, options) error
	wrong func(timeline) int
	bound map[string]string     // the zones of the volumes, by the pod that claims them
	adapt func(*fakeaws.Config) // the account, nil for none
	flags []string              // of both autoscalers
}

var scenarios = []scenario{
	{name: "a", title: "zonal volumes", pods: 3, do: volumes, wrong: timeline.wrongZone, bound: boundTo},
	{name: "b", title: "topology spread", pods: 9, do: spread, wrong: timeline.unused},
	{name: "c", title: "a zone without capacity", pods: 9, do: outage, wrong: timeline.wrongZone, bound: boundTo},
}

func volumes(ctx context.Context, r *run, o options) error {
	if err := r.apply(ctx, statefulYAML); err != nil {
		return err
	}
	return r.wait(ctx, o.wait)
}

func spread(ctx context.Context, r *run, o options) error {
	if err := r.apply(ctx, spreadYAML); err != nil {
		return err
	}
	if err := r.waitRunning(ctx, 1, firstPatience); err != nil {
		return err
	}
	r.from = r.now()
	if err := r.scale(ctx, 9); err != nil {
		return err
	}
	if err := r.wait(ctx, o.wait); err != nil {
		return err
	}
	r.fall = r.now()
	if err := r.scale(ctx, 3); err != nil {
		return err
	}
	return r.wait(ctx, settling)
}

func outage(ctx context.Context, r *run, o options) error {
	r.env.AWS.AddShortage(fakeaws.Shortage{Zone: shortZone, For: fakeaws.Duration(o.outage)})
	r.shortUntil = r.now() + seconds(o.outage.Seconds())
	r.tell("%s has no capacity for %v", shortZone, o.outage)
	if err := r.apply(ctx, statefulYAML+"---\n"+anywhereYAML); err != nil {
		return err
	}
	if err := r.wait(ctx, o.outage); err != nil {
		return err
	}
	r.tell("%s has capacity again", shortZone)
	return r.wait(ctx, o.wait)
}
