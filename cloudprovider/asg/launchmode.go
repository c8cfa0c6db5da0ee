package asg

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// LaunchMode is how instances are asked for.
type LaunchMode string

// Launch modes. The zero LaunchMode is LaunchAuto.
const (
	// LaunchAuto launches synchronously where that is possible, and raises the desired capacity elsewhere.
	LaunchAuto LaunchMode = "auto"
	// LaunchSynchronous asks for instances by LaunchInstances only; a group for which that is impossible does not grow.
	LaunchSynchronous LaunchMode = "synchronous"
	// LaunchDesiredCapacity raises the desired capacity always, as the stock provider does.
	LaunchDesiredCapacity LaunchMode = "desired-capacity"
)

// ParseLaunchMode reads a launch mode; the empty text is LaunchAuto.
func ParseLaunchMode(text string) (LaunchMode, error) {
	switch mode := LaunchMode(text); mode {
	case "":
		return LaunchAuto, nil
	case LaunchAuto, LaunchSynchronous, LaunchDesiredCapacity:
		return mode, nil
	}
	return "", fmt.Errorf("launch mode %q: want %s, %s or %s", text, LaunchAuto, LaunchSynchronous, LaunchDesiredCapacity)
}

// synchronousRetry is how long a group is asked for by its desired capacity after AWS refused to launch in it synchronously:
// until somebody may have allowed it.
const synchronousRetry = 15 * time.Minute

// errNotSynchronous tells that a group cannot be launched synchronously; nothing was launched.
var errNotSynchronous = errors.New("cannot be launched synchronously")

// notSynchronous is errNotSynchronous with the reason.
type notSynchronous struct{ why, remedy string }

func (e *notSynchronous) Error() string {
	return fmt.Sprintf("%v: %s: %s", errNotSynchronous, e.why, e.remedy)
}

// Is has errors.Is find errNotSynchronous.
func (e *notSynchronous) Is(target error) bool { return target == errNotSynchronous }

// refusals remembers where AWS refused LaunchInstances. Safe for concurrent use.
type refusals struct {
	clock clock.PassiveClock
	mode  LaunchMode

	mu     sync.Mutex
	all    bool               // AWS does not know the call here
	groups map[string]refusal // the last one of each
}

// refusal is why AWS would not launch synchronously in a group, and until when that is taken for granted.
type refusal struct {
	reason, remedy string
	until          time.Time
}

// synchronously reports whether the group's next instances are launched synchronously, and if not, why.
func (c *Cache) synchronously(g *Group) (bool, error) {
	if c.mode == LaunchDesiredCapacity {
		return false, nil
	}
	e := c.notSynchronous(g)
	if e == nil {
		return true, nil
	}
	if c.mode == LaunchSynchronous {
		return false, e
	}
	return false, nil
}

// notSynchronous is why LaunchInstances does not serve the group now, or nil.
func (c *Cache) notSynchronous(g *Group) *notSynchronous {
	if e := g.launchableSynchronously(); e != nil {
		return e
	}
	if why, open := c.calls.launch.Open(g.Name); open {
		return &notSynchronous{fmt.Sprintf("AWS does not answer LaunchInstances (%s)", why), "wait: it is tried again after some minutes"}
	}
	return c.refusals.of(g.Name)
}

// AskedFor is how a Cache in the mode would ask for instances of the group, LaunchSynchronous or LaunchDesiredCapacity, and why
// not synchronously. What AWS refuses is not known here.
func (g *Group) AskedFor(mode LaunchMode) (LaunchMode, string) {
	if mode == LaunchDesiredCapacity {
		return LaunchDesiredCapacity, "the launch mode says so"
	}
	if e := g.launchableSynchronously(); e != nil {
		return LaunchDesiredCapacity, e.why + ": " + e.remedy
	}
	return LaunchSynchronous, ""
}

// launchableSynchronously tells why LaunchInstances cannot serve the group, or nil (Amazon EC2 Auto Scaling User Guide, Launch
// instances synchronously). The guide does not say how LaunchInstances treats distribution segments (read 2026-11).
func (g *Group) launchableSynchronously() *notSynchronous {
	switch {
	case g.Source.ConfigurationName != "" || g.Source.Template.IsZero():
		return &notSynchronous{"it has no launch template", "give it one in place of the launch configuration"}
	case g.CapacityType() == "":
		return &notSynchronous{"its policy mixes on-demand and spot", "make it wholly one of them"}
	case len(g.Source.Segments) > 0:
		return &notSynchronous{"its policy has distribution segments", "none needed: AWS chooses among them where the desired capacity is raised"}
	case g.WarmPool:
		return &notSynchronous{"it has a warm pool", "delete that to launch at once"}
	case len(g.Zones) == 0:
		return &notSynchronous{"it has no availability zone", "give it subnets"}
	}
	return nil
}

func (r *refusals) of(group string) *notSynchronous {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch last, refused := r.groups[group]; {
	case r.all:
		return &notSynchronous{"AWS does not know LaunchInstances here", "none needed: instances are asked for by the desired capacity"}
	case refused && r.clock.Now().Before(last.until):
		return &notSynchronous{fmt.Sprintf("AWS refused (%s)", last.reason), last.remedy}
	}
	return nil
}

// refused remembers that AWS would not launch synchronously in the group, and says so once per group and reason; that AWS does
// not know the call, once.
func (r *refusals) refused(ctx context.Context, group string, err error) {
	now := refusal{reason: awsclient.Brief(err), remedy: r.remedy(err), until: r.clock.Now().Add(synchronousRetry)}
	r.mu.Lock()
	defer r.mu.Unlock()
	said := r.all || r.groups[group].reason == now.reason
	r.all = r.all || awsclient.IsUnknownCall(err)
	r.groups[group] = now
	if !said {
		klog.FromContext(ctx).Info("Instances cannot be launched synchronously", "group", group, "reason", now.reason, "remedy", now.remedy)
	}
}

// remedy is what an operator may do about a refusal.
func (r *refusals) remedy(err error) string {
	allow := ""
	if awsclient.IsDenied(err) {
		allow = "allow autoscaling:LaunchInstances, ec2:CreateFleet and ec2:DescribeLaunchTemplateVersions to launch at once, " +
			"and ec2:RunInstances and iam:PassRole if the group's launch template asks for them; "
	}
	switch {
	case r.mode == LaunchSynchronous:
		return allow + "the group grows by its desired capacity with --aws-launch-mode=auto, and not at all without"
	case allow != "":
		return allow + "until then instances are asked for by the desired capacity"
	}
	return "none needed: instances are asked for by the desired capacity"
}

// forget makes AWS be asked again for a group that launches something else now, or is gone.
func (r *refusals) forget(group string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.groups, group)
}
