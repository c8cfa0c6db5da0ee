package event

import (
	"fmt"
	"time"
)

// Kind is what an event is about. It is a metric label and stands on nodes.
type Kind string

// Kinds.
const (
	SpotInterruption    Kind = "spot-interruption"                 // two minutes until EC2 takes a spot instance
	Rebalance           Kind = "rebalance-recommendation"          // advice: an interruption has become likelier
	StateChange         Kind = "state-change"                      // an instance runs, stops or ends
	ScheduledChange     Kind = "scheduled-change"                  // AWS Health: maintenance or retirement
	ReservationEnd      Kind = "capacity-reservation-interruption" // the owner of reserved capacity takes it back
	TerminateHook       Kind = "lifecycle-terminate"               // an instance waits to be terminated until we say so
	LaunchHook          Kind = "lifecycle-launch"                  // an instance waits to enter service
	LaunchSuccessful    Kind = "launch-successful"
	LaunchUnsuccessful  Kind = "launch-unsuccessful"
	TerminateSuccessful Kind = "terminate-successful"
	TerminateFailed     Kind = "terminate-unsuccessful"
)

// Event is one thing that AWS told. What it did not tell is empty.
type Event struct {
	ID        string
	Kind      Kind
	Time      time.Time // when it happened by AWS's clock; zero where that is not told or cannot be read
	Region    string
	Instances []string // at least one, but for launches and terminations that failed
	// State is the instance's new state for StateChange, such as "shutting-down", and what is done to it for interruptions:
	// "terminate", "stop" or "hibernate".
	State string
	// Starts is when a scheduled change begins; zero where that cannot be read.
	Starts time.Time
	// Code names the scheduled change, such as AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED.
	Code string
	// Group is the Auto Scaling group, where the event comes from one.
	Group string
	// Hook and Token are those of the lifecycle action that waits.
	Hook, Token string
	// Message is why a launch failed.
	Message string
}

// Ending reports whether a StateChange says that the instance serves no longer.
func (e Event) Ending() bool {
	switch e.State {
	case "stopping", "stopped", "shutting-down", "terminated":
		return true
	}
	return false
}

// Reason is why nothing can be done with a message. It is a metric label.
type Reason string

// Reasons.
const (
	Garbage     Reason = "garbage"           // not JSON, or not of the form its type has
	Oversize    Reason = "oversize"          // longer than EventBridge makes any
	UnknownType Reason = "unknown-type"      // an event of another kind
	Test        Reason = "test-notification" // sent by Auto Scaling when a hook is made
	NoInstance  Reason = "no-instance"       // names no instance that could exist
	OtherHealth Reason = "other-health"      // AWS Health, but not a scheduled change of EC2
	BackupCopy  Reason = "backup-copy"       // AWS Health's copy for the other region of China
	HealthOver  Reason = "health-over"       // AWS Health, of a change that is done or called off
)

// Unusable is the error of a message that nothing can be done with.
type Unusable struct {
	Reason Reason
	Detail string // for people; may be empty
}

func (u *Unusable) Error() string {
	if u.Detail == "" {
		return "unusable message: " + string(u.Reason)
	}
	return fmt.Sprintf("unusable message: %s: %s", u.Reason, u.Detail)
}
