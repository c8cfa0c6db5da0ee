package fakeaws

import "time"

// noRetry is as good as never.
const noRetry = 100 * 365 * 24 * time.Hour

// die ends an instance while it is Pending, although EC2 accepted its launch. Auto Scaling cancels the launch's activity and
// writes the reason into message and description (wording from public activity logs, read 2026-11).
func (a *account) die(i *instance, sh Shortage) {
	if i.state != pending || i.dead {
		return
	}
	g := i.group
	i.dead = true
	i.reason = &ec2Reason{Code: first(sh.Code, "Client.InternalError")}
	i.reason.Message = i.reason.Code + ": " + first(sh.Message, "Client error on launch")
	message := "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: " + i.reason.Message
	i.launching.finish(activityCancelled, message)
	i.launching.description += ".  Status Reason: " + message
	a.publishActivity(launchUnsuccessful, activityFailed, i.launching, i.id)
	e := i.event(LaunchFailed)
	e.Message = message
	a.events.add(e)
	a.changeState(i, "shutting-down")
	if sh.NoRetry {
		g.retryAt = time.Now().Add(noRetry)
	}
	a.replaceUnhealthy(i)
}

// doomed returns the Shortage by which a launch in a pool dies, or nil, and counts it down.
func (fs *faultSet) dyingLaunch(group string, p pool) *Shortage {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.expire()
	for _, sh := range fs.shortages {
		if sh.Dies == 0 || !sh.covers(group, p) || sh.Percent > 0 && fs.random.IntN(100) >= sh.Percent {
			continue
		}
		if sh.Available > 0 {
			sh.Available--
			continue
		}
		switch {
		case sh.Times == 1:
			sh.Times = -1
		case sh.Times > 1:
			sh.Times--
		}
		against := sh.Shortage
		return &against
	}
	return nil
}
