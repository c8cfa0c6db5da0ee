package podlist

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/pods"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
)

// A Plan keeps for which pods nodes were asked for.
type Plan interface {
	// Planned are the nodes that pods wait for.
	Planned() []plan.Node
	// Join adds pods to one of Planned that has not registered. They leave the nodes for which they were planned before.
	Join(node plan.Node, pods []*corev1.Pod)
	// Drop forgets pods.
	Drop(pods ...types.UID)
}

// Planned puts pending pods on the nodes that were asked for them, in the core's snapshot of the cluster, as far as the scheduler's filters
// agree.
//
// The core packs pending pods on upcoming nodes in its own order. Pods planned for another node then take the room of the pods for which the
// nodes were asked for, and these cause another scale-up. It also packs a pod anew whose nomination kube-scheduler has just removed, though
// its room is kept. So planned pods have their places before all others, and leave the list. Other pending pods find the room that is left.
// Those on upcoming nodes join the plan.
//
// A pod that is nominated for a node of the snapshot stays on the list, because the core puts it there. The core does not see a nomination for
// any other node, whoever wrote it.
//
// Planned belongs before the processors that look for room, and Joining after them. The core's loop alone uses both.
type Planned struct {
	plan    Plan
	groupOf func(*corev1.Node) string
	seats   *seats // of this loop, nil for none
}

// NewPlanned makes a Planned. groupOf returns the group of a node of the snapshot, real or a placeholder, or "".
func NewPlanned(plan Plan, groupOf func(*corev1.Node) string) *Planned {
	return &Planned{plan: plan, groupOf: groupOf}
}

// Process puts planned pods on their nodes, and returns the others. Pods that are no longer pending leave the plan. The pods themselves stay
// as they are.
func (p *Planned) Process(ctx *cacontext.AutoscalingContext, pending []*corev1.Pod) ([]*corev1.Pod, error) {
	p.seats = nil
	pending = withoutAbsent(ctx.ClusterSnapshot, pending)
	planned := p.plan.Planned()
	if len(planned) == 0 {
		return pending, nil
	}
	s, err := p.newSeats(ctx.ClusterSnapshot, planned)
	if err != nil {
		return pending, err
	}
	p.seats = s
	for _, pod := range pending {
		s.others[pod.UID] = pod
	}
	for _, node := range planned {
		var waiting []*corev1.Pod
		for _, pod := range node.Pods {
			switch is := s.others[pod.UID]; {
			case is == nil:
				p.plan.Drop(pod.UID)
			case node.Name != "" && is.Status.NominatedNodeName == node.Name: // the core puts it there
			default:
				waiting = append(waiting, is)
			}
		}
		s.seat(node, waiting)
	}
	var left []*corev1.Pod
	for _, pod := range pending {
		if s.others[pod.UID] != nil {
			left = append(left, pod)
		}
	}
	if seated := len(pending) - len(left); seated > 0 {
		klog.Background().V(4).Info("Put pending pods on the nodes planned for them", "pods", seated)
	}
	return left, nil
}

// withoutAbsent returns the pods as copies without their nominations where the snapshot lacks the node.
//
// A node that has registered and is not Ready is not in the snapshot. A placeholder stands for it. The core would put the pod on the node
// by its name all the same, fail, and help no pod in this loop.
func withoutAbsent(snapshot clustersnapshot.ClusterSnapshot, pending []*corev1.Pod) []*corev1.Pod {
	pending = slices.Clone(pending)
	for at, pod := range pending {
		name := pod.Status.NominatedNodeName
		if name == "" {
			continue
		}
		if _, err := snapshot.NodeInfos().Get(name); err != nil {
			free := *pod
			free.Status.NominatedNodeName = ""
			pending[at] = &free
		}
	}
	return pending
}

// seats are the nodes of the snapshot that may have planned pods.
type seats struct {
	snapshot clustersnapshot.ClusterSnapshot
	present  map[string]bool           // all nodes of the snapshot
	free     map[string][]string       // by group: nodes that are not of the plan, sorted
	standIn  map[string]string         // placeholders of planned nodes that have registered and are not ready
	others   map[types.UID]*corev1.Pod // pending pods without a seat
	upcoming []seat                    // planned nodes that have not registered
}

// seat is a node of the plan with its name in the snapshot.
type seat struct {
	node plan.Node
	name string
}

func (p *Planned) newSeats(snapshot clustersnapshot.ClusterSnapshot, planned []plan.Node) (*seats, error) {
	infos, err := snapshot.ListNodeInfos()
	if err != nil {
		return nil, err
	}
	registered := make(map[string]bool, len(planned))
	for _, node := range planned {
		registered[node.Name] = true
	}
	s := &seats{snapshot: snapshot, present: make(map[string]bool, len(infos)), free: make(map[string][]string),
		standIn: make(map[string]string), others: make(map[types.UID]*corev1.Pod)}
	for _, info := range infos {
		node := info.Node()
		s.present[node.Name] = true
		if group := p.groupOf(node); group != "" && !registered[node.Name] {
			s.free[group] = append(s.free[group], node.Name)
		}
	}
	for _, names := range s.free {
		slices.SortFunc(names, strings.Compare)
	}
	return s, nil
}

// seat puts the pods on their node. If that is not in the snapshot, it is the next of its group that takes the first pod. A node that was
// tried so is not tried for another.
func (s *seats) seat(planned plan.Node, waiting []*corev1.Pod) {
	name := planned.Name
	if !s.present[name] {
		name = s.standIn[name]
	}
	for name == "" && len(waiting) > 0 && len(s.free[planned.Group]) > 0 {
		next := s.free[planned.Group][0]
		s.free[planned.Group] = s.free[planned.Group][1:]
		if s.put(waiting[0], next) {
			name, waiting = next, waiting[1:]
		}
	}
	if name == "" {
		return
	}
	if planned.Name != "" {
		s.standIn[planned.Name] = name
	} else {
		s.upcoming = append(s.upcoming, seat{planned, name})
	}
	for _, pod := range waiting {
		s.put(pod, name)
	}
}

func (s *seats) put(pod *corev1.Pod, node string) bool {
	if s.snapshot.SchedulePod(pod, node) != nil {
		return false
	}
	delete(s.others, pod.UID)
	return true
}

// CleanUp implements the core's PodListProcessor.
func (*Planned) CleanUp() {}

// Joining returns the processor that has pods join the plan which found room on its upcoming nodes.
func (p *Planned) Joining() pods.PodListProcessor { return joining{p} }

type joining struct{ *Planned }

// Process returns the pods as they are.
func (j joining) Process(_ *cacontext.AutoscalingContext, pending []*corev1.Pod) ([]*corev1.Pod, error) {
	if j.seats == nil || len(j.seats.others) == 0 {
		return pending, nil
	}
	for _, seat := range j.seats.upcoming {
		info, err := j.seats.snapshot.GetNodeInfo(seat.name)
		if err != nil {
			return nil, err
		}
		var beside []*corev1.Pod
		for _, on := range info.Pods() {
			pod := j.seats.others[on.UID]
			if pod != nil && !IsFake(pod) {
				beside = append(beside, pod)
				delete(j.seats.others, on.UID)
			}
		}
		if len(beside) > 0 {
			j.plan.Join(seat.node, beside)
		}
	}
	return pending, nil
}
