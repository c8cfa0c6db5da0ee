package asg

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// LimitError is the error of a write beyond the group's limits. Nothing was written.
type LimitError struct {
	Group       string
	Desired     int // if it had been written
	Limit       int
	LimitIsMost bool
}

func (e *LimitError) Error() string {
	side, verb := "minimum", "below"
	if e.LimitIsMost {
		side, verb = "maximum", "above"
	}
	return fmt.Sprintf("auto scaling group %q: a desired capacity of %d is %s its %s size of %d", e.Group, e.Desired, verb, side, e.Limit)
}

// full returns the error of an increase by n without room: in the group, where left is the part that other zones leave, or else in the zone.
func (g *Group) full(zone string, n, left int) error {
	e := &LimitError{Group: g.Name, Desired: g.reached() + (g.room()-left)*g.Source.MinWeight(), Limit: g.MaxSize, LimitIsMost: true}
	if v := g.zoneGroupIn(zone); v != nil && left > 0 {
		e.Group, e.Desired, e.Limit = v.ID(), v.DesiredCapacity, v.most
	}
	e.Desired += n * g.Source.MinWeight()
	return e
}

// unansweredError is the error of a call that AWS did not answer. AWS may have done it.
type unansweredError struct {
	cause   error
	began   time.Time // the last try
	settled time.Time // from then on a reading shows the outcome
	zones   []string  // of launches only
}

// newUnanswered makes the error of a call whose last try began then. AWS is done with a call once it has answered with a fault.
func newUnanswered(began time.Time, cause error) *unansweredError {
	missed := &unansweredError{cause: cause, began: began, settled: began}
	if !awsclient.IsAnswer(cause) {
		missed.settled = began.Add(settleTime)
	}
	return missed
}

func (e *unansweredError) Error() string {
	return fmt.Sprintf("its outcome is not known: %v", e.cause)
}

func (e *unansweredError) Unwrap() error { return e.cause }

// with joins both errors. other may be nil.
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
	var missed *unansweredError
	errors.As(err, &missed)
	return missed
}

// because adds the reason to err on one line, as logs and events show errors. Without a reason it returns err.
func because(err, reason error) error {
	if reason == nil {
		return err
	}
	return fmt.Errorf("%w: %w", err, reason)
}
