package asg

import "strings"

// Lifecycle is the lifecycle state of an instance in its group (Amazon EC2 Auto Scaling instance lifecycle).
type Lifecycle string

// Counts reports whether AWS counts an instance in this state towards the desired capacity. Departing, detached, standby and warm pool
// instances do not count. All other states do, also those that AWS adds later: a missed member could lower the desired capacity below the
// members, and AWS would terminate one.
func (l Lifecycle) Counts() bool {
	switch l {
	case "Detaching", "Detached", "Standby":
		return false
	}
	return !l.Leaving() && !strings.HasPrefix(string(l), "Warmed:")
}

// Starting reports whether the instance is not in service yet.
func (l Lifecycle) Starting() bool { return strings.HasPrefix(string(l), "Pending") }

// Leaving reports whether the instance is being terminated or is gone.
func (l Lifecycle) Leaving() bool { return strings.HasPrefix(string(l), "Terminat") }

// departedForGood reports whether the instance will not come back by itself.
func (l Lifecycle) departedForGood() bool { return l.Leaving() || l == "Detaching" || l == "Detached" }

const terminating Lifecycle = "Terminating"
