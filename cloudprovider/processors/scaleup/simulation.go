package scaleup

import (
	"fmt"
	"maps"
	"slices"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/podlist"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
)

// simulation has the nodes that a loop asked for, in a fork of the core's snapshot of the cluster.
type simulation struct {
	snapshot  clustersnapshot.ClusterSnapshot
	templates map[string]*framework.NodeInfo // next node by node group
	asked     []*askedNode                   // in the order asked for
}

type askedNode struct {
	plan.Node
	simulated *apiv1.Node // nil where the core could not
}

// add adds new nodes, by node group. After an error it still notes them all, because they were asked for.
func (s *simulation) add(grown map[string]int) (err error) {
	for _, id := range slices.Sorted(maps.Keys(grown)) {
		for range grown[id] {
			n := &askedNode{Node: plan.Node{Group: id}}
			if err == nil {
				n.simulated, err = s.addNode(id)
			}
			s.asked = append(s.asked, n)
		}
	}
	return err
}

func (s *simulation) addNode(group string) (*apiv1.Node, error) {
	if s.templates[group] == nil {
		return nil, fmt.Errorf("no template of node group %q", group)
	}
	info, err := simulator.SanitizedNodeInfo(s.templates[group], fmt.Sprintf("asked-%d", len(s.asked)))
	if err != nil {
		return nil, err
	}
	return info.Node(), s.snapshot.AddNodeInfo(info)
}

// assign gives the nodes from the index on their pods, and returns the pods. It leaves the snapshot as it is. If fewer nodes were asked
// for than packed, the last ones have none.
func (s *simulation) assign(packed []plan.Node, from int) podSet {
	placed := podSet{}
	for at, node := range packed[:min(len(packed), len(s.asked)-from)] {
		s.asked[from+at].Pods = slices.Clone(node.Pods)
		placed.added(node.Pods)
	}
	return placed
}

// fit puts the pods that have a place on the nodes from the index on into the snapshot. Then it gives the room that is left to the
// others of pods, and adds those to placed. Pods of the option, and those that depend on other nodes, may go to any node of the cluster, because a
// pod that must be spread may fit on an old node once there is a new one. It ends early once over is true.
func (s *simulation) fit(placed, option podSet, pods []*apiv1.Pod, from int, over func() bool) error {
	by, on := make(map[string]*askedNode, len(s.asked)), snapshot.Nodes{Over: over, Anywhere: func(pod *apiv1.Pod) bool { return option[pod] || dependsOnNodes(pod) }}
	for at, n := range s.asked {
		by[n.simulated.Name] = n
		if at < from {
			continue
		}
		on.First = append(on.First, n.simulated.Name)
		for _, pod := range n.Pods {
			if over() {
				return nil
			}
			if err := s.put(pod, n.simulated.Name); err != nil {
				return err
			}
		}
	}
	others := placed.others(pods)
	found, err := snapshot.Place(s.snapshot, others, on)
	for _, pod := range others {
		name, fits := found[pod]
		if fits {
			placed[pod] = true
		}
		if n := by[name]; n != nil {
			n.Pods = append(n.Pods, pod)
		}
	}
	return err
}

// dependsOnNodes reports whether a pod must be spread, or be near other pods.
func dependsOnNodes(pod *apiv1.Pod) bool {
	near := pod.Spec.Affinity != nil && pod.Spec.Affinity.PodAffinity != nil && len(pod.Spec.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution) > 0
	return near || slices.ContainsFunc(pod.Spec.TopologySpreadConstraints, func(c apiv1.TopologySpreadConstraint) bool {
		return c.WhenUnsatisfiable == apiv1.DoNotSchedule
	})
}

// put puts a pod on the node that was counted for it. The filters agreed when it was, and only they can reserve devices.
func (s *simulation) put(pod *apiv1.Pod, node string) error {
	if len(pod.Spec.ResourceClaims) == 0 {
		return s.snapshot.ForceAddPod(pod, node)
	}
	if err := s.snapshot.SchedulePod(pod, node); err != nil && err.Type() == clustersnapshot.SchedulingInternalError {
		return err
	}
	return nil
}

// nodes returns the nodes that the core could simulate.
func (s *simulation) nodes() (list []*apiv1.Node) {
	for _, n := range s.asked {
		if n.simulated != nil {
			list = append(list, n.simulated)
		}
	}
	return list
}

// planned returns the nodes without the pods that only the core has made.
func (s *simulation) planned() (nodes []plan.Node) {
	for _, n := range s.asked {
		n.Pods = slices.DeleteFunc(n.Pods, podlist.IsFake)
		nodes = append(nodes, n.Node)
	}
	return nodes
}
