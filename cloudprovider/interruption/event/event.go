package event

import (
	"fmt"
	"slices"
	"time"
)

// Kind is the subject of an event. It is a metric label and a node annotation.
type Kind string

const (
	SpotInterruption    Kind = "spot-interruption"                 // EC2 interrupts a spot instance in two minutes
	Rebalance           Kind = "rebalance-recommendation"          // advice: an interruption has become likelier
	StateChange         Kind = "state-change"                      // an instance runs, stops or ends
	ScheduledChange     Kind = "scheduled-change"                  // AWS Health: maintenance or retirement
	ReservationEnd      Kind = "capacity-reservation-interruption" // the owner of reserved capacity takes it back
	TerminateHook       Kind = "lifecycle-terminate"               // an instance waits until we allow its termination
	LaunchHook          Kind = "lifecycle-launch"                  // an instance waits to enter service
	LaunchSuccessful    Kind = "launch-successful"
	LaunchUnsuccessful  Kind = "launch-unsuccessful"
	TerminateSuccessful Kind = "terminate-successful"
	TerminateFailed     Kind = "terminate-unsuccessful"

	Reboot Kind = "reboot" // no event of AWS: a repair reboots the instance
)

// Event is one event of AWS. Fields that AWS left out are empty.
type Event struct {
	ID        string
	Kind      Kind
	Time      time.Time // when it happened by AWS's clock, zero if unknown
	Instances []string  // at least one, but for launches and terminations that failed, and changes that are over
	// State is the instance's new state for StateChange, such as "shutting-down". For interruptions it is the action:
	// "terminate", "stop" or "hibernate". For lifecycle hooks it is ReplaceRootVolume, or empty.
	State string
	// AWS begins a scheduled change, or takes reserved capacity back, at Starts. It is zero if AWS does not say.
	Starts time.Time
	// Code is the type of the scheduled change, such as AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED. All events about one change have its ARN.
	Code, ARN string
	// Over are the instances for which the scheduled change is done or called off.
	Over []string
	// Group is the Auto Scaling group, if one sent the event.
	Group string
	// Hook and Token name the lifecycle action that waits.
	Hook, Token string
}

// ReplaceRootVolume is the State of a lifecycle hook whose instance stays: AWS replaces its root volume, and reboots it.
const ReplaceRootVolume = "ReplaceRootVolume"

// Ending reports whether a StateChange takes the instance out of service.
func (e Event) Ending() bool {
	return slices.Contains([]string{"stopping", "stopped", "shutting-down", "terminated"}, e.State)
}

// Reason classifies an unusable message. It is a metric label.
type Reason string

const (
	Garbage     Reason = "garbage"           // not JSON, or not of the form its type has
	UnknownType Reason = "unknown-type"      // an event of another kind
	Test        Reason = "test-notification" // sent by Auto Scaling when a hook is made
	NoInstance  Reason = "no-instance"       // names no instance that could exist
	OtherHealth Reason = "other-health"      // AWS Health, but no scheduled change of instances
	BackupCopy  Reason = "backup-copy"       // AWS Health's copy for the other region of China
)

type Unusable struct {
	Reason Reason
	Detail string // for people, may be empty
}

func (u *Unusable) Error() string {
	if u.Detail == "" {
		return "unusable message: " + string(u.Reason)
	}
	return fmt.Sprintf("unusable message: %s: %s", u.Reason, u.Detail)
}
