package asg

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

type LaunchMode string

const (
	// LaunchAuto launches synchronously where that is possible, and raises the desired capacity elsewhere.
	LaunchAuto            LaunchMode = "auto"
	LaunchSynchronous     LaunchMode = "synchronous"      // uses LaunchInstances only. A group that cannot be launched so does not grow
	LaunchDesiredCapacity LaunchMode = "desired-capacity" // raises the desired capacity always, as the stock provider does
)

func (m LaunchMode) Check() error {
	return shellword.OneOf(cmp.Or(m, LaunchAuto), LaunchAuto, LaunchSynchronous, LaunchDesiredCapacity)
}

// errNotSynchronous is the error of a group that cannot be launched synchronously. Nothing was launched.
var errNotSynchronous = errors.New("cannot be launched synchronously")

type notSynchronous struct{ why, remedy string }

func (e *notSynchronous) Error() string {
	return fmt.Sprintf("%v: %s: %s", errNotSynchronous, e.why, e.remedy)
}

func (e *notSynchronous) Is(target error) bool { return target == errNotSynchronous }

// AskedFor returns how LaunchAuto asks for instances of a group, and why not synchronously. It does not know AWS's refusals.
func AskedFor(g *group.Group) (LaunchMode, string) {
	if e := launchableSynchronously(g); e != nil {
		return LaunchDesiredCapacity, e.why + ": " + e.remedy
	}
	return LaunchSynchronous, ""
}

// launchableSynchronously returns why LaunchInstances cannot serve the group, or nil (Amazon EC2 Auto Scaling User Guide, Launch instances
// synchronously). The guide does not say how LaunchInstances treats distribution segments (read 2026-11).
func launchableSynchronously(g *group.Group) *notSynchronous {
	switch {
	case g.Source.ConfigurationName != "" || g.Source.Template.IsZero():
		return &notSynchronous{"it has no launch template", "give it one in place of the launch configuration"}
	case g.LaunchSpec == nil && !g.Source.Mixed:
		return &notSynchronous{"its launch template has not been read", "see the problems of the group"}
	case g.CapacityType() == "":
		return &notSynchronous{"its policy mixes on-demand and spot", "make it wholly one of them"}
	case len(g.Source.Segments) > 0:
		return &notSynchronous{"its policy has distribution segments", "none needed: AWS chooses among them where the desired capacity is raised"}
	case len(g.Zones) > 1 && cmp.Or(g.ZoneDistribution, "balanced-best-effort") != "balanced-best-effort": // AWS's default, and our own
		return &notSynchronous{"its zone distribution is " + g.ZoneDistribution,
			"none needed: AWS chooses the zones where the desired capacity is raised"}
	case g.WarmPool:
		return &notSynchronous{"it has a warm pool", "delete that to launch at once"}
	case len(g.Zones) == 0:
		return &notSynchronous{"it has no availability zone", "give it subnets"}
	}
	return nil
}
