package fakeaws

import (
	"fmt"
	"slices"
	"time"
)

// processes of Auto Scaling that can be suspended (SuspendProcesses, API reference, read 2026-11). The emulator obeys Launch,
// Terminate, AZRebalance, HealthCheck, InstanceRefresh, ReplaceUnhealthy and ScheduledActions.
var processes = []string{"Launch", "Terminate", "AddToLoadBalancer", "AlarmNotification", "AZRebalance", "HealthCheck",
	"InstanceRefresh", "ReplaceUnhealthy", "ScheduledActions"}

// suspended reports whether any of the processes is suspended.
func (g *group) suspended(anyOf ...string) bool {
	return slices.ContainsFunc(anyOf, func(process string) bool { return slices.Contains(g.SuspendedProcesses, process) })
}

// processNames are all processes if none is given.
func processNames(names []string) ([]string, error) {
	if len(names) == 0 {
		return processes, nil
	}
	for _, name := range names {
		if !slices.Contains(processes, name) {
			return nil, fmt.Errorf("invalid process name: %s", name)
		}
	}
	return names, nil
}

// suspend suspends or resumes processes. Delayed work is made up for at once.
func (a *account) suspend(g *group, names []string, suspend bool, by string) {
	kind := ProcessesResumed
	left := slices.DeleteFunc(slices.Clone(g.SuspendedProcesses), func(p string) bool { return slices.Contains(names, p) })
	if suspend {
		kind = ProcessesSuspended
		left = append(left, names...)
	}
	g.SuspendedProcesses = left
	a.events.add(Event{Kind: kind, Group: g.Name, By: by, Message: fmt.Sprint(names)})
	for _, i := range slices.Clone(g.instances) {
		a.replaceUnhealthy(i)
	}
	a.reconcile(g, "")
}

// Suspend suspends processes of a group, all of them if none is named, as an operator does.
func (s *Server) Suspend(name string, processes ...string) error {
	return s.switchProcesses(name, processes, true)
}

// Resume lets processes of a group go on, all of them if none is named.
func (s *Server) Resume(name string, processes ...string) error {
	return s.switchProcesses(name, processes, false)
}

func (s *Server) switchProcesses(name string, names []string, suspend bool) error {
	names, err := processNames(names)
	if err != nil {
		return err
	}
	return s.change(name, func(a *account, g *group) { a.suspend(g, names, suspend, admin) })
}

// lose handles an instance that EC2 takes away: it dies, and the group replaces it, unless that is suspended. An instance on
// its way out goes at once, whatever hook it waits for.
func (a *account) lose(i *instance) {
	if i.dead || i.ending != nil && i.state != terminatingWait {
		return
	}
	i.dead, i.running = true, false
	a.emit(Reclaimed, i)
	a.changeState(i, "shutting-down")
	if i.ending != nil {
		i.actions = nil
		i.onward()
		return
	}
	a.replaceUnhealthy(i)
	if i.ending == nil {
		a.at(time.Now(), a.delays.Terminate, func() { a.changeState(i, "terminated") })
		a.removeNode(i)
	}
}

// replaceUnhealthy ends an instance that has died, if the group may.
func (a *account) replaceUnhealthy(i *instance) {
	g := i.group
	if !i.dead || i.ending != nil || g.suspended("HealthCheck", "ReplaceUnhealthy", "Terminate") {
		return
	}
	a.terminate(i, unhealthyCause(time.Now()))
	a.reconcile(g, "At "+seconds(time.Now())+" an instance was launched in response to an unhealthy instance needing to be replaced.")
}
