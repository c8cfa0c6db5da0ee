package scaledown

import (
	"math"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/processors/scaledowncandidates"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
)

// CheapestFirst has the core consider a node before another if its pods cost less to move (move.Cost). It stands behind the core's own
// comparers: a node that was considered before has waited for its removal, and would wait anew behind one that has just become cheaper.
type CheapestFirst struct {
	Cluster clustersnapshot.ClusterSnapshot
	costs   map[*corev1.Node]float64 // of the nodes of this sort that the other comparers call equal
}

var _ scaledowncandidates.CandidatesComparer = (*CheapestFirst)(nil)

// ResetState forgets the costs, before each sort.
func (c *CheapestFirst) ResetState() { c.costs = map[*corev1.Node]float64{} }

// ScaleDownEarlierThan reports whether the pods of a cost less than those of b.
func (c *CheapestFirst) ScaleDownEarlierThan(a, b *corev1.Node) bool { return c.cost(a) < c.cost(b) }

func (c *CheapestFirst) cost(n *corev1.Node) float64 {
	cost, known := c.costs[n]
	if known {
		return cost
	}
	cost = math.Inf(1)
	if info, err := c.Cluster.GetNodeInfo(n.Name); err == nil {
		cost = move.Cost(snapshot.Pods(info))
	}
	c.costs[n] = cost
	return cost
}
