package asg

import "context"

// ReadMoving is what the Cache does at every motion interval while it runs.
var ReadMoving = (*Cache).readMoving

// ReadFailures is what the Cache does at every motion interval about groups that are short of instances.
var ReadFailures = func(c *Cache, ctx context.Context) { c.activities.readFailures(ctx) }

// Resolve is what the Cache does when a launch source may be new.
var Resolve = (*Cache).resolveLaunches

// MakeStale makes the last reading of the group too old to terminate by.
func MakeStale(c *Cache, name string) {
	c.groups.update(name, func(_ *entry, g *Group) { g.ReadAt = g.ReadAt.Add(-2 * freshEnough) })
}
