package fakeaws

import (
	"errors"
	"fmt"
	"time"
)

// ReplaceRootVolume makes Auto Scaling replace the root volume of Instances, or of Count (1) that are in service, as an
// instance refresh with that strategy does (user guide, "Replace root volumes during instance refresh", read 2026-11). Each
// instance passes through four states, and stays Each (1s) in one. With Each never it stays in the last one. It
// remains a member that counts as capacity, and runs. AWS documents health checks only at the end. The return to InService is a
// guess.
const ReplaceRootVolume DeedKind = "replace-root-volume"

// Lifecycle states of an instance whose root volume is replaced, in their order.
const (
	replacingRootVolume        = "ReplacingRootVolume"
	replacingRootVolumeWait    = "ReplacingRootVolume:Wait"
	replacingRootVolumeProceed = "ReplacingRootVolume:Proceed"
	rootVolumeReplaced         = "RootVolumeReplaced"
)

var rootVolumeStates = []string{replacingRootVolume, replacingRootVolumeWait, replacingRootVolumeProceed, rootVolumeReplaced}

func (a *account) replaceRootVolume(g *group, d Deed) error {
	chosen := a.chosen(g, d)
	if len(chosen) == 0 {
		return errors.New("no such instance in service")
	}
	for _, i := range chosen {
		if i.state != inService || i.dead {
			return fmt.Errorf("instance %s is %s", i.id, i.state)
		}
	}
	for _, i := range chosen {
		act := a.record(g, activity{
			description: "Replacing root volume of EC2 instance: " + i.id, status: activityInProgress, started: time.Now(), zone: i.pool.zone,
			cause: fmt.Sprintf("At %s the root volume of an instance was replaced in response to an instance refresh.", seconds(time.Now())),
		})
		a.throughStates(i, inService, rootVolumeStates, d.Each, act)
	}
	return nil
}

// throughStates moves an instance from one state through others and back into service, unless something else happens to it.
func (a *account) throughStates(i *instance, from string, states []string, each Duration, act *activity) {
	if i.state != from || i.dead {
		act.finish(activityCancelled, "")
		return
	}
	if len(states) == 0 {
		i.state = inService
		act.finish(activitySuccessful, "")
		return
	}
	i.state = states[0]
	if each == Never {
		i.state = states[len(states)-1]
		return
	}
	a.at(time.Now(), first(each, Duration(time.Second)), func() { a.throughStates(i, states[0], states[1:], each, act) })
}
