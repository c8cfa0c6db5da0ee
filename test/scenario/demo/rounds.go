package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

// S0's demand: so many pods, each on a node of its own, in this group.
const (
	group = "g4dn-spot"
	pods  = 3
)

// How long each half of a round may take before the demo gives up.
const (
	scaleUpTimeout   = 90 * time.Second
	scaleDownTimeout = 90 * time.Second
)

// firstAskWithin is the promised reaction time, from the workload's creation to the raised desired capacity.
const firstAskWithin = 1500 * time.Millisecond

// errInterrupted ends a round when somebody asks for the end.
var errInterrupted = errors.New("interrupted")

// round is one pass from zero to all pods running and back, as durations since its start or since the deletion.
type round struct {
	start, deleted, finished time.Time
	moments                  []scenario.Moment
}

// runRound creates the workload, waits until every pod runs, deletes it and waits until the group is empty again.
func runRound(ctx context.Context, env *scenario.Env, workload *appsv1.Deployment) (round, error) {
	deployments := env.Cluster.Client().AppsV1().Deployments(workload.Namespace)
	r := round{start: time.Now()}
	if _, err := deployments.Create(ctx, workload, metav1.CreateOptions{}); err != nil {
		return r, err
	}
	if err := waitFor(ctx, env, r.start, scaleUpTimeout, scenario.PodRunning, pods); err != nil {
		return r, err
	}
	r.deleted = time.Now()
	if err := deployments.Delete(ctx, workload.Name, metav1.DeleteOptions{}); err != nil {
		return r, err
	}
	if err := waitFor(ctx, env, r.deleted, scaleDownTimeout, scenario.NodeGone, pods); err != nil {
		return r, err
	}
	r.finished = time.Now()
	r.moments = env.Timeline.Since(r.start)
	return r, nil
}

// waitFor waits until the timeline has seen count moments of the kind since start.
func waitFor(ctx context.Context, env *scenario.Env, start time.Time, within time.Duration, kind scenario.Kind, count int) error {
	timeout := time.After(within)
	for {
		seen := scenario.Count(env.Timeline.Since(start), kind)
		if seen >= count {
			return nil
		}
		if !env.Autoscaler().Running() {
			return errors.New("the autoscaler ended by itself")
		}
		select {
		case <-ctx.Done():
			return errInterrupted
		case <-timeout:
			return fmt.Errorf("waited %s for %d × %q, saw %d", within, count, kind, seen)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// judge returns the missing states of a finished round, or that the autoscaler asked too late, or nil.
func (r round) judge() error {
	if err := r.reached(); err != nil {
		return err
	}
	asked, _ := scenario.First(r.moments, scenario.DesiredRaised)
	if took := asked.At.Sub(r.start); took > firstAskWithin {
		return fmt.Errorf("the desired capacity was raised after %s, promised within %s", took.Round(time.Millisecond), firstAskWithin)
	}
	return nil
}

// reached returns the missing states of a finished round, or nil.
func (r round) reached() error {
	for _, want := range []struct {
		kind  scenario.Kind
		count int
	}{
		{scenario.PodPending, pods},
		{scenario.NodeReady, pods},
		{scenario.GPUPublished, pods},
		{scenario.PodRunning, pods},
		{scenario.NodeDrained, pods},
		{scenario.InstanceTerminated, pods},
	} {
		if seen := scenario.Count(r.moments, want.kind); seen != want.count {
			return fmt.Errorf("expected %d × %q, saw %d", want.count, want.kind, seen)
		}
	}
	if kill, happened := scenario.First(r.moments, scenario.KilledUndrained); happened {
		return fmt.Errorf("instance %s was terminated undrained: %s", kill.Object, kill.Detail)
	}
	if _, logged := scenario.First(r.moments, scenario.GroupChosen); !logged {
		return errors.New("the autoscaler's log does not say which group it chose, and why")
	}
	if _, raised := scenario.First(r.moments, scenario.DesiredRaised); !raised {
		return fmt.Errorf("the desired capacity of %s was never raised", group)
	}
	return nil
}
