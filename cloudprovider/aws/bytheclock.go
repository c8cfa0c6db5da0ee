package aws

import (
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
)

// Started notes how long a node of the node group took from its launch until it was Ready.
func (p *Provider) Started(nodeGroup string, took time.Duration) {
	p.cache.Started(p.GroupName(nodeGroup), took)
}

// BelowClock reports whether a schedule or a scheduled action of AWS wants a node group to have more nodes than it was asked for.
func (p *Provider) BelowClock(nodeGroup string) bool {
	ng := p.View().NodeGroup(nodeGroup)
	if ng == nil || !ng.group().RaisedByClock {
		return false
	}
	size, _ := ng.TargetSize()
	return size < ng.MinSize()
}

// Surplus returns the number of nodes of an Auto Scaling group that must go before AWS lowers its size, because AWS would choose them itself, and
// when that is. A group whose scale-down is paused has none.
func (p *Provider) Surplus(g *group.Group) (nodes int, by time.Time) {
	if p.Paused(g).Down {
		return 0, time.Time{}
	}
	return g.Surplus()
}
