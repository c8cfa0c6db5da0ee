package asg

import (
	"fmt"

	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// launcher launches instances synchronously, by LaunchInstances.
type launcher struct {
	groups    *groups
	reader    *reader
	replays   *replays
	api       writesAPI
	clock     clock.WithTicker
	mode      LaunchMode
	types     *instancetypes.Catalogue // may be nil
	available availability
	calls     newerCalls
	refusals  *refusals
}

// synchronously reports whether the group's next instances are launched synchronously, and if not, why.
func (l *launcher) synchronously(g *Group) (bool, error) {
	if l.mode == LaunchDesiredCapacity {
		return false, nil
	}
	e := l.notSynchronous(g)
	if e == nil {
		return true, nil
	}
	if l.mode == LaunchSynchronous {
		return false, e
	}
	return false, nil
}

// notSynchronous returns why LaunchInstances does not serve the group now, or nil.
func (l *launcher) notSynchronous(g *Group) *notSynchronous {
	if e := g.launchableSynchronously(); e != nil {
		return e
	}
	if why, open := l.calls.launch.Open(g.Name); open {
		return &notSynchronous{fmt.Sprintf("AWS does not answer LaunchInstances (%s)", why), "wait: it is tried again after some minutes"}
	}
	return l.refusals.of(g.Name)
}
