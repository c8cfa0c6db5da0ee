package asg

import (
	"errors"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
)

// Launch is one request for instances, with AWS's answer.
type Launch struct {
	Group    string // name of the Auto Scaling group
	Zone     string // "" where AWS chooses the zones
	Call     string // of AWS
	Asked    int    // instances, 0 for launches that AWS gave up on its own
	Launched int    // instances that the answer named, always 0 for SetDesiredCapacity
	Started  time.Time
	Duration time.Duration
	Failures cooldown.Failures // in AWS's words

	// Refused says why AWS was asked in vain, "" where it was not. Class is its kind, which is Unknown for a call without an answer.
	Refused     string
	RefusedCall string // "" where the error names none
	Class       awsmessage.Class
}

func (l Launch) ended(now time.Time, err error) Launch {
	l.Duration = max(0, now.Sub(l.Started))
	if _, failed := errors.AsType[*LaunchError](err); err != nil && !failed {
		l.Refused, l.RefusedCall, l.Class = awsclient.Brief(err), awsclient.Operation(err), awsmessage.OfCode(awsclient.Code(err))
	}
	return l
}
