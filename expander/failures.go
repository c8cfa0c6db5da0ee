package expander

import "github.com/asg-autoscaler/asg-autoscaler/expander/leastcost"

// failures knows which node groups recently failed to launch instances or lost spot instances, and which have problems. aws.Provider
// implements it.
type failures interface {
	RecentFailure(nodeGroup string) (reason string, known bool)
	ProblemCount(nodeGroup string) int
}

// FailurePenalties makes the least-cost expander count the nodes of such groups as dearer.
type FailurePenalties struct {
	Failures failures
	Ratio    float64 // added to the cost of a node
}

func (p FailurePenalties) Penalty(nodeGroup string) leastcost.Penalty {
	penalty := leastcost.Penalty{Problems: p.Failures.ProblemCount(nodeGroup)}
	if reason, known := p.Failures.RecentFailure(nodeGroup); known {
		penalty.Ratio, penalty.Reason = p.Ratio, reason
	}
	return penalty
}
