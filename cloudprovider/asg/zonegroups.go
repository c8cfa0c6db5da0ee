package asg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// TagZonal is the tag by which the owner of a group asks for zone groups, or refuses them: true or false.
const TagZonal = "asg-autoscaler.github.io/zonal"

// Problem reasons of groups that should be scaled zone by zone and are not.
const (
	ReasonAZRebalance = "az-rebalance-running"
	ReasonNotZonal    = "zonal-not-possible"
	ReasonZonalTag    = "invalid-zonal-tag"
)

// ErrNotZonal is the error of a launch in one zone of a group that is not scaled zone by zone any more. Nothing was launched.
var ErrNotZonal = errors.New("cannot be scaled zone by zone now")

// NodeGroups returns the node groups to scale: the group itself, or its zone groups. The Problems say why there are no zone groups where somebody
// asks for them, or what endangers them. A group whose launch spec is unknown has a Problem of its own for that. divisible reports that the group
// will have zone groups after NeedZones.
func (c *Cache) NodeGroups(g *group.Group) (groups []*group.Group, divisible bool, problems []launchspec.Problem) {
	whole := []*group.Group{g}
	asked, allowed, problem := c.options.ZonalGroups.asks(g)
	if problem != nil {
		problems = append(problems, *problem)
	}
	unplaced := slices.ContainsFunc(g.Instances, func(i group.Instance) bool { return i.Zone == "" })
	if !allowed || len(g.Zones) < 2 || g.LaunchSpec == nil || unplaced {
		return whole, false, problems
	}
	rebalanced := !g.Suspended(group.ProcessRebalance)
	if rebalanced && (asked || g.ZonesNeeded) {
		problems = append(problems, rebalanceProblem(g))
	}
	if problem := c.undivided(g); problem != nil {
		if asked || g.ZonesNeeded {
			problems = append(problems, *problem)
		}
		return whole, false, problems
	}
	if asked && !rebalanced || g.ZonesNeeded {
		return g.Divide(nil, c.availableZones(g)), false, problems
	}
	return whole, true, problems
}

// NeedZones has a group scaled zone by zone as soon as possible, because a pod needs one of its zones. It holds until the process ends.
func (c *Cache) NeedZones(ctx context.Context, name string) {
	known := false
	c.groups.update(name, func(e *entry) {
		g := e.Change()
		known, g.ZonesNeeded = g.ZonesNeeded, true
	})
	if !known {
		klog.FromContext(ctx).Info("A pod needs one of the zones of a group, so the group is scaled zone by zone from now on", "group", name)
		signal(c.groups.changed)
	}
}

// availableZones returns the zones in which the group could launch now, or all if there are none.
func (c *Cache) availableZones(g *group.Group) []string {
	if g.DesiredCapacity >= g.MinSize {
		return g.Zones // the minimum size needs no launch
	}
	available := slices.DeleteFunc(slices.Clone(g.Zones), func(zone string) bool { return c.Closed(g, zone) })
	if len(available) == 0 {
		return g.Zones
	}
	return available
}

// asks reports whether the group should have zone groups, and whether it may have them once a pod needs one of its zones, or what is wrong with its tag.
func (z ZonalGroups) asks(g *group.Group) (asked, allowed bool, problem *launchspec.Problem) {
	tag, tagged := g.Tags[TagZonal]
	switch {
	case z == ZonalOff || tag == "false":
		return false, false, nil
	case tagged && tag != "true":
		return z == ZonalAll, true, &launchspec.Problem{Reason: ReasonZonalTag,
			Message: fmt.Sprintf("its tag %s is %q, and counts for nothing", TagZonal, tag),
			Remedy:  "set it to true to have one node group per zone, or to false"}
	}
	return tagged || z == ZonalAll, true, nil
}

func rebalanceProblem(g *group.Group) launchspec.Problem {
	return launchspec.Problem{Reason: ReasonAZRebalance,
		Message: "its process AZRebalance runs, by which AWS ends nodes that were launched in the zone that pods need, so it is one node group until a pod " +
			"needs one of its zones",
		Remedy: "suspend it to have one node group per zone: aws autoscaling suspend-processes --scaling-processes " + group.ProcessRebalance +
			" --auto-scaling-group-name " + shellword.Quote(g.Name)}
}

// undivided returns what keeps a group of several zones from being scaled zone by zone, or nil. Its launch spec is known.
func (c *Cache) undivided(g *group.Group) *launchspec.Problem {
	for _, zone := range g.Zones {
		if c.groups.Snapshot().Group(group.ZoneGroupID(g.Name, zone)) != nil {
			return notZonal(fmt.Sprintf("another Auto Scaling group has the name %q", group.ZoneGroupID(g.Name, zone)), "rename one of them")
		}
	}
	if c.options.LaunchMode == LaunchDesiredCapacity {
		return notZonal("the launch mode leaves the zone to AWS", "run with --asg-launch-mode=auto")
	}
	if e := cmp.Or(c.notSynchronous(g), c.refusals.lasting(g.Name)); e != nil {
		return notZonal("its instances cannot be launched synchronously, for "+e.why, e.remedy)
	}
	return nil
}

// Undivided is what keeps a group of several zones from being scaled zone by zone, whatever its tag says. It is nil where nothing does.
func (c *Cache) Undivided(g *group.Group) *launchspec.Problem {
	switch {
	case g.Zone != "" || len(g.Zones) < 2 || g.LaunchSpec == nil:
		return nil
	case c.options.ZonalGroups == ZonalOff:
		return notZonal("--asg-zonal-groups is off", "set --asg-zonal-groups=tagged")
	}
	return c.undivided(g)
}

func notZonal(why, remedy string) *launchspec.Problem {
	return &launchspec.Problem{Reason: ReasonNotZonal, Message: "it stays one node group: " + why, Remedy: remedy}
}

// servesZone reports whether the group is scaled zone by zone and may launch in the zone. The empty zone is any.
func (c *Cache) servesZone(g *group.Group, zone string) bool {
	if zone == "" {
		return true
	}
	views, _, _ := c.NodeGroups(g)
	return slices.Contains(g.Zones, zone) && slices.ContainsFunc(views, func(v *group.Group) bool { return v.Zone == zone })
}

func notZonalNow(name, zone string) error {
	return fmt.Errorf("launch in %s of auto scaling group %q: the group %w", zone, name, ErrNotZonal)
}

// ZonalGroups selects the groups of several zones to scale zone by zone, with one node group a zone. The others, but for those whose TagZonal is
// false, follow once a pod needs one of their zones.
type ZonalGroups string

const (
	ZonalOff    ZonalGroups = "off"    // none, whatever a pod needs
	ZonalTagged ZonalGroups = "tagged" // those whose TagZonal is true
	ZonalAll    ZonalGroups = "all"    // all but those whose TagZonal is false
)

func (z ZonalGroups) Check() error {
	return shellword.OneOf(cmp.Or(z, ZonalTagged), ZonalOff, ZonalTagged, ZonalAll)
}
