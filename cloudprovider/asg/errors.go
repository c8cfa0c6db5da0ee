package asg

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

func notFound(name string) error {
	return fmt.Errorf("auto scaling group %q: %w", name, ErrGroupNotFound)
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
