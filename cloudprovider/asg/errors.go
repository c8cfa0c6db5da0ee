package asg

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

var ErrGroupNotFound = errors.New("auto scaling group not found: it was deleted, or lost the tags that select it")

func notFound(name string) error {
	return fmt.Errorf("auto scaling group %q: %w", name, ErrGroupNotFound)
}

// LaunchError is the error of a launch that brought nothing, in AWS's words.
type LaunchError struct {
	Group string
	cooldown.Failures
}

func (e *LaunchError) Error() string {
	var all []string
	for _, k := range e.Kinds() {
		all = append(all, fmt.Sprintf("%s (%s): %s", k.Code, k.Pools(), k.Message))
	}
	return fmt.Sprintf("launch in auto scaling group %q: %s", e.Group, strings.Join(all, "; "))
}

// suspended returns the error of an increase of g while its process Launch is suspended or it is paused, or nil. AWS would take a higher desired
// capacity, launch nothing and say nothing. The words are AWS's own for LaunchInstances.
func suspended(g *group.Group, now time.Time) error {
	if !g.Suspended(group.ProcessLaunch) {
		return paused(g, now, false)
	}
	return fmt.Errorf("increase auto scaling group %q: The Launch process of the AutoScalingGroup is suspended: %s", g.Name,
		shellword.ResumeProcess(g.Name, group.ProcessLaunch))
}

// paused returns the error of a write to g that its pause rules out, or nil. The reading before the write may be the first that shows the tag.
func paused(g *group.Group, now time.Time, down bool) error {
	if p := g.LeftAlone(now, down); p != (group.Pause{}) {
		cause, _ := p.Why(g.Name)
		return fmt.Errorf("auto scaling group %q is paused%s", g.Name, cause)
	}
	return nil
}

// unansweredError is the error of a call that AWS did not answer. AWS may have done it.
type unansweredError struct {
	cause   error
	began   time.Time // the last try
	settled time.Time // from then on a reading shows the outcome
	zones   []string  // of launches only
}

func (e *unansweredError) Error() string {
	return fmt.Sprintf("its outcome is not known: %v", e.cause)
}

func (e *unansweredError) Unwrap() error { return e.cause }

func (e *unansweredError) with(other *unansweredError) *unansweredError {
	if other == nil {
		return e
	}
	both := *e
	both.zones = append(slices.Clone(other.zones), e.zones...)
	both.began, both.settled = later(e.began, other.began), later(e.settled, other.settled)
	return &both
}

func unansweredIn(err error) *unansweredError {
	missed, _ := errors.AsType[*unansweredError](err)
	return missed
}

// because adds the reason to err on one line, as logs and events show errors. Without a reason it returns err.
func because(err, reason error) error {
	if reason == nil {
		return err
	}
	return fmt.Errorf("%w: %w", err, reason)
}
