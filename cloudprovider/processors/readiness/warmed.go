package readiness

import (
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// asMade returns the nodes with those as new that are not Ready since their instances came into their groups. Such an instance comes from a warm pool.
// Its node registered when it was warmed, maybe days ago. The core counts a node that is not Ready as upcoming by the age of the node alone, and would
// launch another one for the same pods in every loop.
func (s *StartingNodes) asMade(all []*corev1.Node) []*corev1.Node {
	if len(s.provider.NodeGroups()) == 0 {
		return all // the groups have not been read
	}
	there, copied := map[string]bool{}, false
	for at, node := range all {
		id := node.Spec.ProviderID
		there[id] = true
		joined, outside := s.joined[id]
		switch {
		case nodemeta.Ready(node):
			delete(s.joined, id)
			continue
		case !s.provider.IsMember(node):
			s.joined[id] = time.Time{}
			continue
		case outside && joined.IsZero():
			joined = s.clock.Now()
			s.joined[id] = joined
		}
		if !joined.After(node.CreationTimestamp.Time) {
			continue
		}
		if !copied {
			all, copied = slices.Clone(all), true
		}
		node = node.DeepCopy()
		node.CreationTimestamp = metav1.NewTime(joined)
		all[at] = node
	}
	maps.DeleteFunc(s.joined, func(id string, _ time.Time) bool { return !there[id] })
	return all
}
