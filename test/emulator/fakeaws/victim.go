package fakeaws

import (
	"slices"
	"strconv"
)

// victim is the instance that scale-in would end next, or nil. It never picks a protected one. As the default termination
// policy does, it takes the zone with the most instances, there instances of an older launch template or version first, and among
// them the one launched first. The policies NewestInstance, OldestInstance and OldestLaunchTemplate change the order after the
// zone (user guide, "Work with termination policies", read 2026-11). Other policies of a group count as Default. Default's last
// resort, closeness to the next billing hour, is approximated by age. In a strict account it is chance.
func (a *account) victim(g *group) *instance {
	zones := map[string]int{}
	for _, i := range g.instances {
		if i.counts() {
			zones[i.pool.zone]++
		}
	}
	var victim *instance
	for _, i := range shuffled(a, slices.Clone(g.instances)) { // oldest first, or in any order
		if !i.counts() || i.protected {
			continue
		}
		if victim == nil || zones[i.pool.zone] > zones[victim.pool.zone] ||
			zones[i.pool.zone] == zones[victim.pool.zone] && a.rather(g, i, victim) {
			victim = i
		}
	}
	return victim
}

// rather reports whether policy takes i, which may have been launched later, before other.
func (a *account) rather(g *group, i, other *instance) bool {
	policy := "Default"
	if len(g.TerminationPolicies) > 0 {
		policy = g.TerminationPolicies[0]
	}
	switch policy {
	case "NewestInstance":
		return i.launchTime.After(other.launchTime)
	case "OldestInstance":
		return i.launchTime.Before(other.launchTime)
	}
	return a.outdated(i) && !a.outdated(other)
}

// outdated reports whether the group would launch the instance from another template, version or configuration today.
func (a *account) outdated(i *instance) bool {
	g := i.group
	ref := g.baseRef()
	if ref == nil || i.template == nil {
		return i.config != g.LaunchConfiguration || ref != nil
	}
	if i.override != nil && i.override.LaunchTemplate != nil {
		ref = i.override.LaunchTemplate
	}
	t := a.template(*ref)
	return t != nil && (t.ID != i.template.ID || strconv.Itoa(t.number(ref.Version)) != i.template.Version)
}
