package asg

import (
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
)

// ReadMoving runs one round of the motion loop.
var ReadMoving = (*Cache).readMoving

// ReadFailures reads the activities of groups that are short of instances, as the failure loop does.
var ReadFailures = (*Cache).readFailures

// Resolve runs one round of the resolve loop.
var Resolve = (*Cache).resolveLaunches

// Replaces reports whether an activity launches an instance in place of another, or ends one that is replaced.
var Replaces = replaces

// NextOf returns what a scheduled action sets next.
var NextOf = nextOf

// Cluster returns the name of the Cache's cluster and its source, both empty while the name is not known.
func Cluster(c *Cache) launchspec.Statement { return c.ClusterName() }

// MakeStale makes the last reading of the group too old to terminate by.
func MakeStale(c *Cache, name string) {
	c.groups.update(name, func(e *entry) {
		g := e.Change()
		g.ReadAt = g.ReadAt.Add(-2 * freshEnough)
	})
}
