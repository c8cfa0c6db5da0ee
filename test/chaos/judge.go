package chaos

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

// ourKey is the access key the autoscaler signs its calls with: events say by whom they are.
const ourKey = " " + scenario.AccessKey

// judge collects what must not happen while a plan runs. Safe for concurrent use.
type judge struct {
	mu         sync.Mutex
	violations []string
}

func (j *judge) violated(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.violations = append(j.violations, fmt.Sprintf(format, args...))
}

func (j *judge) fault(err error) { j.violated("%v", err) }

// watchLowering sees to it that the autoscaler never wants less of a group than the group's nodes that pods run on, until the
// account is closed or ctx ends. Whether a node is busy is asked the moment desired capacity falls.
func (j *judge) watchLowering(ctx context.Context, aws *fakeaws.Server, podsOn func(node string) []string) {
	for e := range aws.Subscribe(ctx, 0) {
		if e.Kind != fakeaws.DesiredChanged || e.To >= e.From || !strings.HasSuffix(e.By, ourKey) {
			continue
		}
		state, _ := aws.Group(e.Group)
		needed := 0
		var busy []string
		for _, i := range state.Instances {
			if pods := podsOn(i.Node); counts(i.State) && len(pods) > 0 {
				needed += i.Weight
				busy = append(busy, fmt.Sprintf("%s %v", i.Node, pods))
			}
		}
		if e.To < needed && state.Desired < needed {
			j.violated("%s: desired capacity of %q lowered from %d to %d while %d was needed: %s",
				e.By, e.Group, e.From, e.To, needed, strings.Join(busy, "; "))
		}
	}
}

func counts(state string) bool { return strings.HasPrefix(state, "Pending") || state == "InService" }

// kills judges the instances that were terminated undrained because of the autoscaler.
func (j *judge) kills(moments []scenario.Moment, events []fakeaws.Event) {
	for _, m := range scenario.UndrainedKills(moments, events) {
		j.violated("instance %s was terminated undrained at %s: %s", m.Object, m.At.Format("15:04:05.000"), m.Detail)
	}
}

// races judges what the race detector has found in our own code, where the autoscaler was built with it.
func (j *judge) races(log string) {
	if races := scenario.OwnRaces(log); len(races) > 0 {
		j.violated("the race detector found %d races in our own code, the first:\n%s", len(races), races[0])
	}
}

// converged waits until holds says nothing is missing any more, and returns how long it took from the start of the wait.
func converged(ctx context.Context, within time.Duration, holds func(context.Context) (missing string, err error)) (time.Duration, error) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for missing := ""; ; pause(ctx, 100*time.Millisecond) {
		now, err := holds(ctx)
		switch {
		case ctx.Err() != nil:
			return time.Since(start), fmt.Errorf("not within %s: %s", within, missing)
		case err != nil:
			return time.Since(start), err
		case now == "":
			return time.Since(start), nil
		}
		missing = now
	}
}
