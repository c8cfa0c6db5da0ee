package asg

import (
	"context"
	"errors"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
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

// observed is launchOrder, reported to the observer of launches. A replayed answer is no launch.
func (l *launcher) observed(ctx context.Context, g *group.Group, o launchRequest) launchResult {
	began := l.clock.Now()
	r := l.launchOrder(ctx, g, o)
	if !r.replayed {
		l.report(Launch{Group: g.Name, Zone: o.zone, Call: "LaunchInstances", Asked: o.count, Launched: len(r.launched), Started: began,
			Failures: r.failures}, r.err)
	}
	return r
}

// report completes the launch, which has just ended with the error, and hands it to the observer of launches.
func (s *shared) report(l Launch, err error) {
	l.Duration = max(0, s.clock.Since(l.Started))
	var failed *LaunchError
	if err != nil && !errors.As(err, &failed) {
		l.Refused, l.RefusedCall, l.Class = awsclient.Brief(err), awsclient.Operation(err), awsmessage.OfCode(awsclient.Code(err))
	}
	s.observe(l)
}
