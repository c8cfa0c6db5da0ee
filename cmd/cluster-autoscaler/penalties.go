package main

import "github.com/asg-autoscaler/asg-autoscaler/expander/leastcost"

// troubles tells which node groups have lately failed to launch instances, or lost spot instances to EC2.
type troubles interface {
	Trouble(nodeGroup string) (reason string, known bool)
}

// penalties has the least-cost expander count the nodes of such groups as dearer.
type penalties struct {
	troubles troubles
	ratio    float64
}

// Penalty is that of a node group.
func (p penalties) Penalty(nodeGroup string) leastcost.Penalty {
	reason, known := p.troubles.Trouble(nodeGroup)
	if !known {
		return leastcost.Penalty{}
	}
	return leastcost.Penalty{Ratio: p.ratio, Reason: reason}
}
