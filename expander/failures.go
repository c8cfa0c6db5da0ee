package expander

import "github.com/asg-autoscaler/asg-autoscaler/expander/leastcost"

// failures knows which node groups recently failed to launch instances or lost spot instances. Implemented by aws.Provider.
type failures interface {
	RecentFailure(nodeGroup string) (reason string, known bool)
}

// FailurePenalties makes the least-cost expander count the nodes of such groups as dearer.
type FailurePenalties struct {
	Failures failures
	Ratio    float64 // added to the cost of a node
}

// Penalty is the penalty of a node group, zero without recent failures.
func (p FailurePenalties) Penalty(nodeGroup string) leastcost.Penalty {
	reason, known := p.Failures.RecentFailure(nodeGroup)
	if !known {
		return leastcost.Penalty{}
	}
	return leastcost.Penalty{Ratio: p.Ratio, Reason: reason}
}
