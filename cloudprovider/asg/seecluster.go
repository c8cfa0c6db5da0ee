package asg

import (
	"context"

	"k8s.io/klog/v2"
)

// SeeCluster takes in the cluster's evidence of its name, and publishes the groups anew if the name is news. It makes no call. Before its first call,
// no instance counts as a node of ours.
func (c *Cache) SeeCluster(ctx context.Context, e Evidence) {
	c.groups.mu.Lock()
	defer c.groups.mu.Unlock()
	c.groups.identity.nodes = make(map[string]bool, len(e.Nodes))
	for _, id := range e.Nodes {
		c.groups.identity.nodes[id] = true
	}
	if c.groups.identity.flag != "" {
		return // no evidence changes a given name
	}
	votes, undecided := map[string]int{}, 0
	for _, entry := range c.groups.entries {
		name := entry.group.states()
		for _, i := range entry.group.Instances {
			switch {
			case !c.groups.identity.nodes[i.ID]:
			case name != "":
				votes[name]++
			case entry.group.unread && len(entry.group.Stated) == 0:
				undecided++
			}
		}
	}
	own := c.groups.identity.settle(votes, undecided, e)
	if own == c.groups.identity.own {
		c.groups.identity.ask(ctx, c.groups.entries)
		return
	}
	klog.FromContext(ctx).V(0).Info("Settled the name of this cluster: groups that state another are left alone", "cluster", own.Cluster,
		"source", own.Source, "before", c.groups.identity.own.Cluster)
	c.groups.identity.own = own
	c.groups.publish()
	signal(c.groups.changed)
}
