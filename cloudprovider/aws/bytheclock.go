package aws

import "time"

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
