package move_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// labelled is a reason for nodes with a label of its name. The label's value is the target.
type labelled string

func (l labelled) Name() string { return string(l) }

func (l labelled) Due(n move.Node, _ time.Time) (move.Why, bool) {
	target, due := n.Labels[string(l)]
	return move.Why{Cause: "it is old", Target: target, Ends: n.Labels["ends"] != ""}, due
}

func (l labelled) Judged(n move.Node) bool {
	_, due := n.Labels[string(l)]
	return !due && (l != move.Repair || n.Labels["sick"] == "")
}

// fleet is a cluster for one Decide.
type fleet struct {
	t       *testing.T
	groups  map[string]*group.Group
	nodes   []move.Node
	pending bool
	others  []*corev1.Pod // pods without a node, or on nodes of no group
	alone   map[string]bool
	wanted  map[string]int // pods by controller
}

func newFleet(t *testing.T) *fleet {
	return &fleet{t: t, groups: map[string]*group.Group{}, alone: map[string]bool{}}
}

// node adds a node of a group that has been Ready for an hour, with a Ready pod of each workload.
func (f *fleet) node(name string, labels map[string]string, workloads ...string) *corev1.Node {
	of, _, _ := strings.Cut(name, "-")
	if f.groups[of] == nil {
		f.groups[of] = &group.Group{Name: of}
	}
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels,
		CreationTimestamp: metav1.NewTime(noon.Add(time.Duration(len(f.nodes))*time.Second - time.Hour))},
		Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(noon.Add(-time.Hour))}}}}
	var pods []*corev1.Pod
	for _, w := range workloads {
		pods = append(pods, pod(w, noon.Add(-time.Hour)))
	}
	f.nodes = append(f.nodes, move.Node{Node: n, Instance: &group.Instance{ID: "i-" + name, Lifecycle: "InService"}, Group: f.groups[of], Pods: func() []*corev1.Pod { return slices.Clone(pods) }})
	return n
}

// pod is a pod of a Deployment, Ready since a moment.
func pod(workload string, ready time.Time) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: workload + "-7f-x", Labels: map[string]string{"pod-template-hash": "7f"},
		OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: workload + "-7f", UID: types.UID(workload), Controller: new(true)}}},
		Spec: corev1.PodSpec{NodeName: "its node"},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(ready)}}}}
}

// state annotates a node.
func state(n *corev1.Node, s move.State) {
	metav1.SetMetaDataAnnotation(&n.ObjectMeta, move.Annotation, s.Text())
}

func machine(t *testing.T, budgets ...string) *move.Machine {
	if len(budgets) == 0 {
		budgets = []string{"100%"}
	}
	b, err := move.ParseBudgets(budgets)
	require.NoError(t, err)
	return &move.Machine{Reasons: []move.Reason{labelled(move.Repair), labelled(move.Rotation)}, Budgets: b, Proof: 5 * time.Minute}
}

func (f *fleet) decide(m *move.Machine, now time.Time) move.Decision {
	pods := func() ([]*corev1.Pod, error) {
		all := slices.Clone(f.others)
		for _, n := range f.nodes {
			all = append(all, n.Pods()...)
		}
		return all, nil
	}
	return m.Decide(move.Cluster{Nodes: f.nodes, Pods: pods, Pending: f.pending, Wanted: func(p *corev1.Pod) int { return f.wanted[p.OwnerReferences[0].Name] }, LeftAlone: func(n move.Node) bool { return f.alone[n.Name] }}, now)
}

// result is the decision in words: the nodes that begin or change, those that end, and what holds the others.
func result(d move.Decision) string {
	var words []string
	for _, c := range d.Changes {
		if c.State == nil {
			words = append(words, c.Node.Name+" ends")
			continue
		}
		words = append(words, c.Node.Name+" "+string(c.State.Step))
	}
	for _, name := range slices.Sorted(maps.Keys(d.Held)) {
		words = append(words, fmt.Sprintf("%s held: %s", name, d.Held[name].Hold))
	}
	return strings.Join(words, ", ")
}

func TestWhichNodesMove(t *testing.T) {
	old := map[string]string{move.Rotation: ""}
	changed := map[string]string{move.Rotation: "v2"}
	broken := map[string]string{move.Repair: ""}
	ends := map[string]string{move.Rotation: "", "ends": "true"}
	rotation := move.State{Why: move.Why{Cause: "it is old"}, Reason: move.Rotation, Step: move.Placing, Since: noon, Began: noon}
	big := func(f *fleet, g string) { f.groups[g].Tags = map[string]string{move.TagBudget: "100%"} }
	unreadyFor := func(f *fleet, node string, long time.Duration, is corev1.ContainerState) { // adds a node with a pod that is not Ready
		f.node(node, nil)
		f.nodes[len(f.nodes)-1].Pods = func() []*corev1.Pod {
			p := pod("web", noon.Add(-long))
			p.Status.Conditions[0].Status, p.Status.ContainerStatuses = corev1.ConditionFalse, []corev1.ContainerStatus{{State: is}}
			return []*corev1.Pod{p}
		}
	}
	consolidated := func(f *fleet, labels map[string]string, names ...string) { // adds nodes, each with a workload of its own
		for _, name := range names {
			s := rotation
			s.Reason = move.Consolidation
			state(f.node(name, labels, "web-"+name), s)
		}
	}
	waitsFor := func(reason string) corev1.ContainerState {
		return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}
	}
	crashed := waitsFor("CrashLoopBackOff")
	unsettled := func(f *fleet, node string) { unreadyFor(f, node, 14*time.Minute, crashed) }
	waiting := func(hash string, long time.Duration) *corev1.Pod { // a pod of web without a node
		p := pod("web", noon)
		p.Labels["pod-template-hash"], p.OwnerReferences[0].Name, p.Status.Conditions = hash, "web-"+hash, nil
		p.CreationTimestamp, p.Spec.NodeName = metav1.NewTime(noon.Add(-long)), ""
		return p
	}
	unjudged := func(f *fleet, scheduler, reason string) { // adds an old node, and a pod of its workload that has been without a node for long
		f.node("a-1", old, "web")
		p := waiting("7f", time.Hour)
		if p.Spec.SchedulerName = scheduler; reason != "" {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: reason}}
		}
		f.others = []*corev1.Pod{p}
	}
	young := func(f *fleet, ready time.Duration, works bool) { // adds a node with a pod that is a minute old
		f.node("a-2", nil).Status.Conditions[0].LastTransitionTime = metav1.NewTime(noon.Add(-ready))
		f.nodes[len(f.nodes)-1].Pods = func() []*corev1.Pod {
			p := pod("job", noon.Add(-time.Minute))
			if p.CreationTimestamp = metav1.NewTime(noon.Add(-time.Minute)); !works {
				p.Status.Conditions[0].Status = corev1.ConditionFalse
			}
			return []*corev1.Pod{p}
		}
	}
	agent := func(f *fleet, there, ready corev1.ConditionStatus) { // adds a node with a pod of a DaemonSet that the nodes of before have, too
		f.node("a-2", nil)
		for i := range f.nodes {
			f.nodes[i].Pods = func() []*corev1.Pod {
				p := pod("agent", noon.Add(-time.Hour))
				p.OwnerReferences[0].Kind, p.OwnerReferences[0].Name, p.Status.Conditions[0].Status = "DaemonSet", "agent", there
				if i == len(f.nodes)-1 {
					p.Status.Conditions[0].Status = ready
				}
				return []*corev1.Pod{p}
			}
		}
	}
	revision := func(f *fleet, kind, hash string) { // adds a node with a Ready pod of web
		f.node("b-1", nil)
		f.nodes[len(f.nodes)-1].Pods = func() []*corev1.Pod {
			p := pod("web", noon.Add(-time.Hour))
			p.OwnerReferences[0].Kind, p.OwnerReferences[0].Name = kind, "web"
			if p.Labels = nil; hash != "" {
				p.OwnerReferences[0].Name, p.Labels = "web-"+hash, map[string]string{"pod-template-hash": hash}
			}
			return []*corev1.Pod{p}
		}
	}
	argo := func(f *fleet) { // has all pods be of Argo Rollouts
		for i, pods := range f.nodes {
			f.nodes[i].Pods = func() []*corev1.Pod {
				list := pods.Pods()
				for _, p := range list {
					p.Labels = map[string]string{"rollouts-pod-template-hash": nodemeta.TemplateHash(p)}
				}
				return list
			}
		}
	}
	for _, tt := range []struct {
		name    string
		budgets []string
		fleet   func(f *fleet)
		want    string
	}{
		{name: "nobody is due", fleet: func(f *fleet) { f.node("a-1", nil, "web") }},
		{name: "repairs come first", budgets: []string{"1"}, fleet: func(f *fleet) { f.node("a-1", old); f.node("b-1", broken) }, want: "b-1 placing, a-1 held: budget"},
		{name: "the oldest of a group, and one at a time", fleet: func(f *fleet) { f.node("a-1", old); f.node("a-2", old) }, want: "a-1 placing, a-2 held: budget"},
		{name: "a group's own budget", fleet: func(f *fleet) { f.node("a-1", old); f.node("a-2", old); big(f, "a") }, want: "a-1 placing, a-2 placing"},
		{name: "a budget that cannot be read", fleet: func(f *fleet) {
			f.node("a-1", old).Labels = old
			f.groups["a"].Tags = map[string]string{move.TagBudget: "some"}
		}, want: "a-1 held: budget"},
		{name: "frozen", budgets: []string{"0"}, fleet: func(f *fleet) { f.node("a-1", old) }, want: "a-1 held: budget"},
		{name: "another node of the group moves", fleet: func(f *fleet) { state(f.node("a-1", old), rotation); f.node("a-2", old) }, want: "a-2 held: budget"},
		{name: "pods wait", fleet: func(f *fleet) { f.pending = true; f.node("a-1", old); f.node("b-1", broken) }, want: "b-1 placing, a-1 held: pending-pods"},
		{name: "left alone", fleet: func(f *fleet) { f.node("a-1", old); f.alone["a-1"] = true }, want: "a-1 held: left-alone"},
		{name: "one workload at a time", fleet: func(f *fleet) { f.node("a-1", old, "web"); f.node("b-1", old, "web"); f.node("c-1", old, "db") },
			want: "a-1 placing, c-1 placing, b-1 held: workload"},
		{name: "a workload that has not settled", fleet: func(f *fleet) { f.node("a-1", old, "web"); unsettled(f, "b-1") },
			want: "a-1 held: rollout"},
		{name: "a pod that has not run for long", fleet: func(f *fleet) { f.node("a-1", old, "web"); unreadyFor(f, "b-1", 15*time.Minute, crashed) },
			want: "a-1 placing"},
		{name: "a pod that runs and copies data for long", fleet: func(f *fleet) {
			f.node("a-1", old, "web")
			unreadyFor(f, "b-1", time.Hour, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
		}, want: "a-1 held: rollout"},
		{name: "a pod whose init container copies data for long", fleet: func(f *fleet) {
			f.node("a-1", old, "web")
			unreadyFor(f, "b-1", time.Hour, waitsFor("PodInitializing"))
			pods := f.nodes[1].Pods()
			pods[0].Status.InitContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
			f.nodes[1].Pods = func() []*corev1.Pod { return pods }
		}, want: "a-1 held: rollout"},
		{name: "a pod whose init container does not begin", fleet: func(f *fleet) {
			f.node("a-1", old, "web")
			unreadyFor(f, "b-1", time.Hour, waitsFor("PodInitializing"))
		}, want: "a-1 placing"},
		{name: "a pod whose container has ended", fleet: func(f *fleet) {
			f.node("a-1", old, "web")
			unreadyFor(f, "b-1", time.Hour, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}})
		}, want: "a-1 placing"},
		{name: "a pod that has not run for long holds no node that moves", fleet: func(f *fleet) {
			state(f.node("a-1", old, "web"), rotation)
			unreadyFor(f, "b-1", 15*time.Minute, crashed)
		}},
		{name: "a Deployment with pods of two templates", fleet: func(f *fleet) { f.node("a-1", old, "web"); revision(f, "ReplicaSet", "80") },
			want: "a-1 held: rollout"},
		{name: "an Argo Rollout with pods of two templates", fleet: func(f *fleet) { f.node("a-1", old, "web"); revision(f, "ReplicaSet", "80"); argo(f) },
			want: "a-1 held: rollout"},
		{name: "a Deployment with pods of one template", fleet: func(f *fleet) { f.node("a-1", old, "web"); revision(f, "ReplicaSet", "7f") },
			want: "a-1 placing"},
		{name: "a StatefulSet of the same name", fleet: func(f *fleet) { f.node("a-1", old, "web"); revision(f, "StatefulSet", "") },
			want: "a-1 placing"},
		{name: "a workload that has not settled on a node of no group", fleet: func(f *fleet) {
			f.node("a-1", old, "web")
			unsettled(f, "b-1")
			f.nodes, f.others = f.nodes[:1], f.nodes[1].Pods()
		}, want: "a-1 held: rollout"},
		{name: "a rollout begins, and a node moves", fleet: func(f *fleet) {
			state(f.node("a-1", old, "web"), rotation)
			state(f.node("c-1", old, "db"), rotation)
			unsettled(f, "b-1")
		}, want: "a-1 held: rollout"},
		{name: "the moved pods are not Ready yet", fleet: func(f *fleet) {
			state(f.node("a-1", old, "web"), rotation)
			f.nodes[0].Leaving = true
			unsettled(f, "b-1")
		}},
		{name: "the pods of a restarted Deployment are not Ready yet", fleet: func(f *fleet) {
			s := rotation
			s.Restarted = noon
			state(f.node("a-1", old, "web"), s)
			unsettled(f, "b-1")
		}},
		{name: "a rollout begins, and a node moves that does not work", fleet: func(f *fleet) {
			s := rotation
			s.Reason = move.Repair
			state(f.node("a-1", broken, "web"), s)
			unsettled(f, "b-1")
		}},
		{name: "the first of a group is alone", fleet: func(f *fleet) { f.node("a-1", changed); f.node("a-2", changed); big(f, "a") }, want: "a-1 placing, a-2 held: first-move"},
		{name: "the first new node is young", fleet: func(f *fleet) {
			f.node("a-1", changed)
			f.node("a-2", nil).Status.Conditions[0].LastTransitionTime = metav1.NewTime(noon.Add(-4 * time.Minute))
		}, want: "a-1 held: first-move"},
		{name: "a pod of the first new node is young", fleet: func(f *fleet) { f.node("a-1", changed); young(f, 14*time.Minute, true) },
			want: "a-1 held: first-move"},
		{name: "the first new node has had young pods for long", fleet: func(f *fleet) { f.node("a-1", changed); young(f, 15*time.Minute, true) },
			want: "a-1 placing"},
		{name: "none of its young pods is Ready", fleet: func(f *fleet) { f.node("a-1", changed); young(f, time.Hour, false) },
			want: "a-1 held: first-move"},
		{name: "a pod of a DaemonSet of the first new node is not Ready", fleet: func(f *fleet) { f.node("a-1", changed); agent(f, corev1.ConditionTrue, corev1.ConditionFalse) },
			want: "a-1 held: first-move"},
		{name: "the pod of its DaemonSet is Ready", fleet: func(f *fleet) { f.node("a-1", changed); agent(f, corev1.ConditionTrue, corev1.ConditionTrue) }, want: "a-1 placing"},
		{name: "its DaemonSet is Ready nowhere", fleet: func(f *fleet) { f.node("a-1", changed); agent(f, corev1.ConditionFalse, corev1.ConditionFalse) }, want: "a-1 placing"},
		{name: "the first new node is proven", fleet: func(f *fleet) { f.node("a-1", changed); f.node("a-2", changed); f.node("a-3", nil, "web"); big(f, "a") },
			want: "a-1 placing, a-2 placing"},
		{name: "the first new node is repaired", fleet: func(f *fleet) { f.node("a-1", changed); f.node("a-2", broken); big(f, "a") },
			want: "a-2 placing, a-1 held: first-move"},
		{name: "the first new node does not work, and its repair is stopped", fleet: func(f *fleet) {
			f.node("a-1", changed)
			f.node("a-2", map[string]string{"sick": "true"})
		}, want: "a-1 held: first-move"},
		{name: "a new node does not work, and another one is proven", fleet: func(f *fleet) {
			f.node("a-1", changed)
			f.node("a-2", map[string]string{"sick": "true"})
			f.node("a-3", nil)
		}, want: "a-1 placing"},
		{name: "a node that does not work is not new", fleet: func(f *fleet) {
			f.node("a-1", changed)
			f.node("a-2", map[string]string{move.Repair: "", move.Rotation: "v2"})
			big(f, "a")
		}, want: "a-2 placing, a-1 placing"},
		{name: "somebody has cordoned the first new node", fleet: func(f *fleet) {
			f.node("a-1", changed)
			f.node("a-2", nil)
			f.alone["a-2"], f.nodes[1].Cordoned = true, true
		}, want: "a-1 held: first-move"},
		{name: "the first new node is left alone", fleet: func(f *fleet) { f.node("a-1", changed); f.node("a-2", nil); f.alone["a-2"] = true },
			want: "a-1 placing"},
		{name: "the reason is gone", fleet: func(f *fleet) { state(f.node("a-1", nil), rotation) }, want: "a-1 held: unsure"},
		{name: "it is terminated", fleet: func(f *fleet) {
			state(f.node("a-1", nil), rotation)
			f.nodes[0].Leaving, f.nodes[0].Instance.Lifecycle = true, "Terminating"
			f.node("a-2", old)
		}, want: "a-2 placing"},
		{name: "it is drained, and the reason is gone", fleet: func(f *fleet) {
			state(f.node("a-1", nil), rotation)
			f.nodes[0].Leaving = true
			f.node("a-2", old)
		}, want: "a-2 held: budget"},
		{name: "a node that goes is no proof", fleet: func(f *fleet) {
			f.node("a-1", changed)
			f.node("a-2", changed)
			f.node("a-3", nil, "web")
			f.nodes[2].Instance.Lifecycle = "Terminating"
			big(f, "a")
		}, want: "a-1 placing, a-2 held: first-move"},
		{name: "a pod without a node", fleet: func(f *fleet) { f.others = []*corev1.Pod{waiting("7f", 14*time.Minute)}; f.node("a-1", old, "web") }, want: "a-1 held: rollout"},
		{name: "a pod that has been without a node for long", fleet: func(f *fleet) {
			f.others = []*corev1.Pod{waiting("7f", 15*time.Minute)}
			f.node("a-1", old, "web")
		}, want: "a-1 placing"},
		{name: "kube-scheduler has not judged a pod for long", fleet: func(f *fleet) { unjudged(f, corev1.DefaultSchedulerName, "") }, want: "a-1 held: rollout"},
		{name: "kube-scheduler has failed for long to bind a pod, as to a volume", fleet: func(f *fleet) { unjudged(f, corev1.DefaultSchedulerName, corev1.PodReasonSchedulerError) },
			want: "a-1 placing"},
		{name: "kube-scheduler has found no node for a pod for long", fleet: func(f *fleet) { unjudged(f, corev1.DefaultSchedulerName, corev1.PodReasonUnschedulable) },
			want: "a-1 placing"},
		{name: "a pod has gates for long", fleet: func(f *fleet) { unjudged(f, corev1.DefaultSchedulerName, corev1.PodReasonSchedulingGated) }, want: "a-1 placing"},
		{name: "another scheduler has not judged a pod for long", fleet: func(f *fleet) { unjudged(f, "volcano", "") }, want: "a-1 placing"},
		{name: "a pod of a DaemonSet of the same name without a node", fleet: func(f *fleet) {
			unjudged(f, corev1.DefaultSchedulerName, "")
			f.others[0].OwnerReferences[0] = metav1.OwnerReference{Kind: "DaemonSet", Name: "web", Controller: new(true)}
		}, want: "a-1 placing"},
		{name: "a pod of another template that has been without a node for long", fleet: func(f *fleet) {
			f.others = []*corev1.Pod{waiting("80", time.Hour)}
			f.node("a-1", old, "web")
		}, want: "a-1 held: rollout"},
		{name: "pods wait, and a node moves", fleet: func(f *fleet) { f.pending = true; state(f.node("a-1", old), rotation) }, want: "a-1 held: pending-pods"},
		{name: "a budget of 0 for the group of a node that moves", fleet: func(f *fleet) {
			state(f.node("a-1", old), rotation)
			f.groups["a"].Tags = map[string]string{move.TagBudget: "0"}
		}, want: "a-1 held: budget"},
		{name: "pods wait, and AWS ends a node", fleet: func(f *fleet) { f.pending = true; f.node("a-1", ends) }, want: "a-1 placing"},
		{name: "pods wait, a rollout begins, and a node moves that AWS ends", fleet: func(f *fleet) {
			f.pending = true
			s := rotation
			s.Ends = true
			state(f.node("a-1", ends, "web"), s)
			unsettled(f, "b-1")
		}},
		{name: "a workload that moves or has not settled, and AWS ends a node", fleet: func(f *fleet) {
			f.others = []*corev1.Pod{waiting("7f", 14*time.Minute)}
			f.node("a-1", ends, "web")
			f.node("b-1", ends, "web")
		}, want: "a-1 placing, b-1 placing"},
		{name: "failures stop the group, and AWS ends a node", fleet: func(f *fleet) {
			s := rotation.Failed(noon.Add(-9 * time.Hour)).Failed(noon.Add(-8 * time.Hour)).Failed(noon.Add(-7 * time.Hour))
			state(f.node("a-1", old), s)
			f.node("a-2", ends)
		}, want: "a-2 placing, a-1 held: stopped"},
		{name: "a budget, and AWS ends a node", budgets: []string{"0"}, fleet: func(f *fleet) { f.node("a-1", ends) }, want: "a-1 held: budget"},
		{name: "it waits for its next try", fleet: func(f *fleet) { state(f.node("a-1", old), rotation.Failed(noon.Add(-time.Minute))) }},
		{name: "AWS ends the node before its next try", fleet: func(f *fleet) { state(f.node("a-1", ends), rotation.Failed(noon.Add(-time.Minute))) },
			want: "a-1 placing"},
		{name: "AWS ends the node, and a try in its last moments has failed", fleet: func(f *fleet) {
			s := rotation.Failed(noon.Add(-time.Minute))
			s.Ends = true
			state(f.node("a-1", ends), s)
		}},
		{name: "its next try", fleet: func(f *fleet) { state(f.node("a-1", old), rotation.Failed(noon.Add(-time.Hour))) }, want: "a-1 placing"},
		{name: "three failures stop the group", fleet: func(f *fleet) {
			s := rotation.Failed(noon.Add(-9 * time.Hour)).Failed(noon.Add(-8 * time.Hour))
			state(f.node("a-1", old), s)
			state(f.node("a-2", old), rotation.Failed(noon.Add(-8*time.Hour)))
			f.node("b-1", old)
		}, want: "b-1 placing, a-1 held: stopped, a-2 held: stopped"},
		{name: "failures of another target count no more", fleet: func(f *fleet) {
			s := move.State{Reason: move.Rotation, Why: move.Why{Target: "v1"}, Since: noon, Failures: 3, Step: move.Waiting}
			state(f.node("a-1", changed), s)
		}, want: "a-1 placing"},
		{name: "nodes of a consolidation are to rotate to what is not proven", fleet: func(f *fleet) {
			consolidated(f, changed, "a-1", "a-2", "a-3")
			big(f, "a")
		}, want: "a-1 placing, a-2 waiting, a-3 waiting, a-2 held: first-move, a-3 held: first-move"},
		{name: "nodes of a consolidation are to rotate one at a time", budgets: []string{"100%", "rotation:1"}, fleet: func(f *fleet) {
			f.node("a-0", old)
			consolidated(f, old, "a-1", "a-2")
			big(f, "a")
		}, want: "a-1 placing, a-2 waiting, a-0 held: budget, a-2 held: budget"},
		{name: "a node of a consolidation is to rotate beside one that does", budgets: []string{"100%", "rotation:1"}, fleet: func(f *fleet) {
			consolidated(f, old, "a-1")
			state(f.node("a-2", old), rotation)
			big(f, "a")
		}, want: "a-1 waiting, a-1 held: budget"},
		{name: "a node of a consolidation is to rotate with a workload that moves", fleet: func(f *fleet) {
			consolidated(f, old, "a-1")
			state(f.node("b-1", old, "web-a-1"), rotation)
		}, want: "a-1 waiting, a-1 held: workload"},
		{name: "a node of a consolidation is drained, and is to rotate", budgets: []string{"0"}, fleet: func(f *fleet) {
			consolidated(f, old, "a-1")
			f.nodes[0].Leaving = true
		}, want: "a-1 placing"},
		{name: "a node of a consolidation does not work", budgets: []string{"100%", "repair:1"}, fleet: func(f *fleet) {
			consolidated(f, broken, "a-1", "a-2")
			big(f, "a")
		}, want: "a-1 placing, a-2 placing"},
		{name: "AWS ends nodes of a consolidation", budgets: []string{"100%", "rotation:1"}, fleet: func(f *fleet) {
			consolidated(f, ends, "a-1", "a-2")
			big(f, "a")
		}, want: "a-1 placing, a-2 placing"},
		{name: "the launch template changes again", fleet: func(f *fleet) {
			for _, n := range []string{"a-1", "a-2"} {
				s := rotation
				s.Target = "v1"
				state(f.node(n, changed), s)
			}
			big(f, "a")
		}, want: "a-1 placing, a-2 waiting, a-2 held: first-move"},
		{name: "the launch template changes again, and nodes have been launched", fleet: func(f *fleet) {
			for _, n := range []string{"a-1", "a-2"} {
				s := rotation
				s.Target, s.Launches = "v1", 1
				state(f.node(n, changed), s)
			}
			big(f, "a")
		}, want: "a-1 placing, a-2 placing"},
		{name: "a node is to rotate whose Deployments a consolidation has restarted", fleet: func(f *fleet) {
			s := rotation
			s.Reason, s.Restarted = move.Consolidation, noon
			state(f.node("a-1", old, "web"), s)
			unsettled(f, "b-1")
		}, want: "a-1 placing"},
		{name: "an annotation that somebody has spoilt", fleet: func(f *fleet) { metav1.SetMetaDataAnnotation(&f.node("a-1", old).ObjectMeta, move.Annotation, "{") }, want: "a-1 placing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFleet(t)
			tt.fleet(f)
			got := result(f.decide(machine(t, tt.budgets...), noon))
			assert.Truef(t, got == tt.want, "got  %s\nwant %s", got, tt.want)
		})
	}
}

// A controller that makes no pods, as for a quota, loses one more in 15 minutes at the most.
func TestPodsThatNobodyMakesHoldMoves(t *testing.T) {
	f, m := newFleet(t), machine(t)
	f.wanted = map[string]int{"web-7f": 3}
	ended := pod("web", noon)
	ended.Status.Phase = corev1.PodFailed
	going := pod("web", noon)
	going.DeletionTimestamp = new(metav1.NewTime(noon))
	f.others = []*corev1.Pod{ended, going, pod("db", noon)}
	state(f.node("a-1", map[string]string{move.Rotation: ""}, "web"), move.State{Why: move.Why{Cause: "it is old"}, Reason: move.Rotation, Step: move.Placing, Since: noon, Began: noon})
	f.node("b-1", nil, "web")
	for _, at := range []struct {
		after time.Duration
		there int // beside the two on nodes
		held  bool
	}{
		{0, 1, false},
		{time.Minute, 0, true},
		{15 * time.Minute, 0, true},
		{16 * time.Minute, 0, false},
		{17 * time.Minute, -1, true}, // one more
		{18 * time.Minute, 0, true},
		{32 * time.Minute, 0, false},
		{33 * time.Minute, 1, false},
		{34 * time.Minute, 0, true}, // a new one
		{40 * time.Minute, 0, true},
		{49 * time.Minute, 0, false},
		{24 * time.Hour, 0, false},
		{50 * time.Hour, 0, true}, // nobody has looked for long
	} {
		pods := f.others
		if at.there > 0 {
			f.others = append(slices.Clone(pods), pod("web", noon))
		}
		f.wanted["web-7f"] = 3 + max(0, -at.there)
		want := ""
		if at.held {
			want = "a-1 held: rollout"
		}
		d := f.decide(m, noon.Add(at.after))
		assert.Equalf(t, want, result(d), "after %v", at.after)
		if at.held {
			assert.Contains(t, d.Held["a-1"].Message, `"default/web" has fewer pods than it is to have`)
		}
		f.others = pods
	}
}

// Controllers of one node have their time at once.
func TestControllersThatLackPodsHoldAtOnce(t *testing.T) {
	f, m := newFleet(t), machine(t)
	f.wanted = map[string]int{"web-7f": 2, "db-7f": 2}
	f.node("a-1", map[string]string{move.Rotation: ""}, "web", "db")
	assert.Equal(t, "a-1 held: rollout", result(f.decide(m, noon)))
	assert.Equal(t, "a-1 placing", result(f.decide(m, noon.Add(15*time.Minute))))
}

// Two nodes that cannot be repaired, because of a budget for disruption, do not keep the machine from what AWS does not wait for.
func TestRepairsHoldNoSchedule(t *testing.T) {
	f, m := newFleet(t), machine(t)
	m.Reasons, m.AtOnce = []move.Reason{labelled(move.Repair), labelled(move.Schedule), labelled(move.Rotation)}, 2
	for _, n := range []string{"a-1", "b-1"} {
		state(f.node(n, map[string]string{move.Repair: ""}), move.State{Why: move.Why{Cause: "it is old"}, Reason: move.Repair, Step: move.Placing, Since: noon, Began: noon})
	}
	f.node("c-1", map[string]string{move.Schedule: ""})
	f.node("d-1", map[string]string{move.Rotation: ""})
	assert.Equal(t, "c-1 placing, d-1 held: budget", result(f.decide(m, noon)))
}

// The schedule of a tag keeps the node for its pods, and waits for its next try.
func TestNodeThatAWSEndsWaitsForNoOtherReason(t *testing.T) {
	f, m := newFleet(t), machine(t, "100%", "schedule:0")
	m.Reasons = []move.Reason{labelled(move.Schedule), ends{}}
	s := move.State{Why: move.Why{Cause: "it is old"}, Reason: move.Schedule, Step: move.Waiting, Since: noon, Began: noon, Retry: noon.Add(time.Hour)}
	state(f.node("a-1", map[string]string{move.Schedule: ""}), s)
	require.Equal(t, "", result(f.decide(m, noon)))
	f.nodes[0].Labels["old"] = "true"
	d := f.decide(m, noon)
	require.Equal(t, "a-1 placing", result(d))
	assert.Equal(t, move.Rotation, d.Changes[0].State.Reason)
}

func TestRepairOfANodeThatAWSEndsWaitsForNoWindowOfRotation(t *testing.T) {
	f, m := newFleet(t), machine(t)
	m.Reasons = []move.Reason{labelled(move.Repair), ends{}}
	var err error
	m.Windows, err = move.ParseWindows([]string{"rotation:deny 0 0 * * * 24h"})
	require.NoError(t, err)
	f.node("a-1", map[string]string{move.Repair: "", "old": "true"})
	assert.Equal(t, "a-1 placing", result(f.decide(m, noon)))
	state(f.nodes[0].Node, move.State{Reason: move.Repair, Step: move.Rebooting, Since: noon, Began: noon})
	assert.Empty(t, result(f.decide(m, noon.Add(time.Minute))))
}

// ends is a reason for which AWS ends nodes with the label old.
type ends struct{}

func (ends) Name() string { return move.Rotation }

func (ends) Due(n move.Node, _ time.Time) (move.Why, bool) {
	return move.Why{Cause: "AWS ends it", Ends: true}, n.Labels["old"] != ""
}

func (ends) Judged(move.Node) bool { return true }

// A terminating lifecycle hook may last for hours.
func TestConsolidatedNodeWhoseInstanceEndsHoldsNoRepair(t *testing.T) {
	f, m, c := newFleet(t), machine(t, "1"), &move.Consolidate{On: true}
	m.Reasons = []move.Reason{labelled(move.Repair), c}
	c.Adopt(move.Plan{Nodes: []string{"a-1"}}, noon)
	state(f.node("a-1", nil), move.State{Reason: move.Consolidation, Step: move.Placing, Launches: 1, Since: noon, Began: noon})
	f.nodes[0].Leaving, f.nodes[0].Instance.Lifecycle = true, "Terminating:Wait"
	f.node("a-2", map[string]string{move.Repair: ""})
	assert.Equal(t, "a-2 placing", result(f.decide(m, noon)))
}

// The node is open between two tries, so pods may come that ask for a restart of their Deployment. Each such try is a failure, so that
// restarts that help nothing end.
func TestEachTryRestartsAnew(t *testing.T) {
	s := move.State{Reason: move.Rotation, Step: move.Placing, Since: noon, Began: noon, Closed: true, Restarted: noon}
	for _, after := range []move.State{s.Held(noon), s.Failed(noon), s.Postponed(noon)} {
		assert.Truef(t, after.Restarted.IsZero() && !after.Closed && after.Failures == 1, "state %+v", after)
	}
}

func TestWindowHoldsMoves(t *testing.T) {
	f, m := newFleet(t), machine(t)
	f.node("a-1", map[string]string{move.Rotation: ""})
	var err error
	m.Windows, err = move.ParseWindows([]string{"allow 0 13 * * * 1h"})
	require.NoError(t, err)
	d := f.decide(m, noon)
	got, want := d.Held["a-1"].Message, "no window is open before 2026-11-26T13:00Z"
	assert.Equal(t, want, got)
	assert.Equal(t, "a-1 placing", result(f.decide(m, noon.Add(time.Hour))))
}

func TestRebootIsTakenBackOnceItsWindowHasClosed(t *testing.T) {
	f, m := newFleet(t), machine(t)
	state(f.node("a-1", map[string]string{move.Repair: ""}), move.State{Reason: move.Repair, Step: move.Rebooting, Since: noon, Began: noon})
	var err error
	m.Windows, err = move.ParseWindows([]string{"deny 5 12 * * * 1h"})
	require.NoError(t, err)
	assert.Empty(t, result(f.decide(m, noon.Add(4*time.Minute))))
	assert.Equal(t, "a-1 waiting, a-1 held: window", result(f.decide(m, noon.Add(5*time.Minute))))
	f.nodes[0].Leaving = true // EC2 has been asked
	assert.Empty(t, result(f.decide(m, noon.Add(5*time.Minute))))
}

// Of three nodes of a consolidation that are to rotate, the first one goes on with the node that was launched for it.
func TestMoveForAnotherReasonGoesOnOrBeginsAnew(t *testing.T) {
	f, m := newFleet(t), machine(t, "100%", "rotation:1")
	began := move.State{Why: move.Why{Cause: "it is dear", Into: "b"}, Reason: move.Consolidation, Step: move.Placing, Since: noon, Began: noon, Launches: 1,
		Replacement: "b", Failures: 1}
	for _, name := range []string{"a-1", "a-2"} {
		state(f.node(name, map[string]string{move.Rotation: "v2"}), began)
	}
	f.groups["a"].Tags = map[string]string{move.TagBudget: "100%"}
	now := noon.Add(time.Minute)
	d := f.decide(m, now)
	require.Equal(t, "a-1 placing, a-2 waiting, a-2 held: budget", result(d))
	goesOn := began
	goesOn.Why, goesOn.Reason, goesOn.Failures = move.Why{Cause: "it is old", Target: "v2"}, move.Rotation, 0
	assert.Equal(t, goesOn, *d.Changes[0].State)
	waits := move.State{Why: goesOn.Why, Reason: move.Rotation, Step: move.Waiting, Since: noon, Began: now, Retry: now.Add(5 * time.Minute)}
	assert.Equal(t, waits, *d.Changes[1].State)
	for _, c := range d.Changes {
		state(c.Node.Node, *c.State)
	}
	assert.Empty(t, result(f.decide(m, now.Add(time.Minute))))
	assert.Equal(t, "a-2 held: budget", result(f.decide(m, now.Add(5*time.Minute))))
}

// A pod's wish counts until the move has waited for long enough, and the annotation says so.
func TestWishesCountNoMoreAfterTheLongestWait(t *testing.T) {
	f, m := newFleet(t), machine(t)
	m.MaxWait = time.Hour
	n := f.node("a-1", map[string]string{move.Rotation: ""})
	state(n, move.State{Reason: move.Rotation, Why: move.Why{Cause: "it is old"}, Step: move.Placing, Since: noon, Began: noon})
	if d := f.decide(m, noon.Add(59*time.Minute)); len(d.Changes) != 0 {
		t.Errorf("changes %v before its time", result(d))
	}
	d := f.decide(m, noon.Add(time.Hour))
	require.Truef(t, len(d.Changes) == 1 && d.Changes[0].State.IgnoresWishes && d.Changes[0].State.Since.Equal(noon),
		"changes %+v, want its wishes to count no more", d.Changes)
	state(n, *d.Changes[0].State)
	assert.True(t, move.IgnoresWishes(n), "the annotation does not say so")
}

func TestMoveEndsOnceItsReasonIsGone(t *testing.T) {
	f, m := newFleet(t), machine(t)
	state(f.node("a-1", nil), move.State{Reason: move.Rotation, Step: move.Placing, Since: noon, Began: noon})
	for after, want := range map[time.Duration]string{0: "a-1 held: unsure", time.Minute: "a-1 held: unsure", 2 * time.Minute: "a-1 ends"} {
		m := *m
		f.decide(&m, noon)
		assert.Equalf(t, want, result(f.decide(&m, noon.Add(after))), "after %v", after)
	}
}

// A new leader may not be able to read launch templates, or images of instances, for a while. A stopped group stays so.
func TestMoveIsKeptWhileItsReasonCannotBeSeen(t *testing.T) {
	next := []string{"lt version 2"}
	for _, tt := range []struct {
		name, target string
		spec         *launchspec.LaunchSpec
		problem      string
		want         string
	}{
		{"no launch template is read", next[0], nil, "", "a-1 held: unsure"},
		{"the launch template can no longer be read", next[0], &launchspec.LaunchSpec{Next: next, Floats: true},
			launchspec.ReasonLaunchSourceUnread, "a-1 held: unsure"},
		{"the image of its instance is unknown", "ami-1", &launchspec.LaunchSpec{Next: next, NextImages: []string{"ami-2"}}, "", "a-1 held: unsure"},
		{"the image does not matter", next[0], &launchspec.LaunchSpec{Next: next, NextImages: []string{"ami-2"}}, "", "a-1 ends"},
		{"all is read", next[0], &launchspec.LaunchSpec{Next: next, Floats: true}, "", "a-1 ends"},
	} {
		f, m := newFleet(t), machine(t)
		m.Reasons = []move.Reason{move.Rotate{Image: func(string) string { return "" }}}
		state(f.node("a-1", nil), move.State{Why: move.Why{Target: tt.target}, Reason: move.Rotation, Step: move.Waiting, Since: noon, Failures: 3})
		f.groups["a"].LaunchSpec, f.groups["a"].Problems = tt.spec, []launchspec.Problem{{Reason: tt.problem}}
		f.decide(m, noon)
		assert.Equal(t, tt.want, result(f.decide(m, noon.Add(10*time.Minute))), tt.name)
	}
}

// Two old nodes cannot go. The younger ones have their turn while these wait, and before these are tried again.
func TestNodesThatWereNotTriedComeFirst(t *testing.T) {
	f, m := newFleet(t), machine(t, "1")
	old := map[string]string{move.Rotation: ""}
	waiting := move.State{Why: move.Why{Cause: "it is old"}, Reason: move.Rotation, Step: move.Waiting}
	for n, began := range []time.Duration{-6 * time.Minute, -8 * time.Minute} {
		s := waiting
		s.Began, s.Retry = noon.Add(began), noon.Add(-time.Minute)
		state(f.node(fmt.Sprintf("a-%d", n), old), s)
	}
	young := f.node("a-2", old)
	got := result(f.decide(m, noon))
	assert.Truef(t, strings.HasPrefix(got, "a-2 placing"), "%s, want a-2, which was not tried yet", got)
	waiting.Began, waiting.Retry = noon.Add(-2*time.Minute), noon.Add(time.Minute)
	state(young, waiting)
	got = result(f.decide(m, noon))
	assert.Truef(t, strings.HasPrefix(got, "a-1 placing"), "%s, want a-1, whose try is longest ago", got)
}

// stopped is a repair that too many nodes need.
type stopped struct{ labelled }

func (s stopped) Due(move.Node, time.Time) (move.Why, bool) { return move.Why{}, false }

func (s stopped) Stopped(n move.Node) string { return n.Labels[string(s.labelled)] }

func TestStoppedRepairGoesOnLater(t *testing.T) {
	f, m := newFleet(t), machine(t)
	n := f.node("a-0", map[string]string{move.Repair: "too many"})
	state(n, move.State{Why: move.Why{Cause: "it does not work"}, Reason: move.Repair, Step: move.Placing, Began: noon, Failures: 2})
	sick := m.Reasons[0]
	m.Reasons[0] = stopped{labelled(move.Repair)}
	for _, after := range []time.Duration{0, time.Minute, 5 * time.Minute} {
		got := result(f.decide(m, noon.Add(after)))
		assert.Truef(t, got == "a-0 held: "+string(move.HeldSick), "after %v: %s, want the node to wait for the others", after, got)
	}
	m.Reasons[0] = sick
	d := f.decide(m, noon.Add(6*time.Minute))
	s, _ := move.StateOf(n)
	assert.Truef(t, len(d.Held) == 0 && s.Failures == 2, "%s with %d failures, want it to move, and its 2 failures to count", result(d), s.Failures)
}

// A kubelet may write the annotation of its own node.
func TestForgedStateIsBelievedWithinItsBounds(t *testing.T) {
	repair := func(rest string) string {
		return `{"reason":"repair","step":"placing","since":"2025-01-01T00:00:00Z","began":"2025-01-01T00:00:00Z"` + rest + `}`
	}
	own := move.State{Reason: move.Repair, Step: move.Placing, Since: noon.AddDate(-2, 0, 0), Began: noon, Launches: 1, Failures: 2, Replacement: "a",
		Why: move.Why{Cause: strings.Repeat("template version 12345, ", 500), Target: "12345"}}
	for _, tt := range []struct {
		name, text                 string
		reason                     string
		launches, failures, causes int
	}{
		{"its own", own.Text(), move.Repair, 1, 2, len(own.Cause)},
		{"failures without end", repair(`,"launches":1,"failures":9223372036854775807`), move.Repair, 1, 100, 0},
		{"fewer than none", repair(`,"launches":-9,"failures":-9223372036854775808`), move.Repair, 0, 0, 0},
		{"more than there are numbers", repair(`,"launches":9e99,"failures":9e99`), move.Repair, 0, 0, 0},
		{"another reason", `{"reason":"made up","launches":7,"cause":"because"}`, "", 0, 0, 0},
		{"no reason", `{"launches":7}`, "", 0, 0, 0},
		{"too long", repair(`,"cause":"` + strings.Repeat("x", 20000) + `"`), "", 0, 0, 0},
		{"nothing", "", "", 0, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, m := newFleet(t), machine(t)
			n := f.node("a-0", map[string]string{move.Repair: ""})
			metav1.SetMetaDataAnnotation(&n.ObjectMeta, move.Annotation, tt.text)
			s, moves := move.StateOf(n)
			assert.True(t, moves)
			assert.Equal(t, []any{tt.reason, tt.launches, tt.failures, tt.causes}, []any{s.Reason, s.Launches, s.Failures, len(s.Cause)})
			after := s.Failed(noon)
			assert.Truef(t, after.Failures == s.Failures+1 && after.Retry.Sub(noon) <= 4*time.Hour, "after a failure %+v", after)
			f.decide(m, noon) // and it returns
		})
	}
	assert.Equal(t, 4*time.Hour, move.State{Launches: 1, Failures: math.MaxInt}.Postponed(noon).Retry.Sub(noon))
}

func TestPausesGrow(t *testing.T) {
	s, now := move.State{Step: move.Placing, Launches: 2, Replacement: "a"}, noon
	for _, want := range []time.Duration{10 * time.Minute, 20 * time.Minute, 40 * time.Minute, 80 * time.Minute, 160 * time.Minute, 4 * time.Hour, 4 * time.Hour} {
		if s = s.Failed(now); s.Retry.Sub(now) != want || s.Step != move.Waiting || s.Launches != 0 || s.Replacement != "" {
			t.Errorf("%+v, want a pause of %v", s, want)
		}
	}
	for age, want := range map[time.Duration]time.Duration{time.Minute: 5 * time.Minute, 5 * time.Hour: 30 * time.Minute, 24 * time.Hour: time.Hour} {
		s.Since = now.Add(-age)
		later := s.Postponed(now)
		assert.Truef(t, later.Failures == s.Failures && later.Retry.Sub(now) == want, "%+v, want no further failure, and a pause of %v", later, want)
	}
	var r move.Refusals
	for _, want := range []time.Duration{10 * time.Minute, 20 * time.Minute, 40 * time.Minute, time.Hour, time.Hour} {
		r.Add("a", 10*time.Minute, now)
		now = now.Add(want)
		assert.Truef(t, r.Lasts("a", now.Add(-1)) && !r.Lasts("a", now), "a pause of %v", want)
	}
	now = now.Add(time.Hour)
	r.Add("a", time.Minute, now)
	assert.False(t, r.Lasts("a", now.Add(time.Minute)), "an hour later its refusals count no more")
}

func TestHoldNamesTheFirstNewNode(t *testing.T) {
	f := newFleet(t)
	f.node("a-1", map[string]string{move.Rotation: "v2"})
	f.node("a-2", nil).Status.Conditions[0].LastTransitionTime = metav1.NewTime(noon)
	assert.Contains(t, f.decide(machine(t), noon).Held["a-1"].Message, `the first new node of group "a", a-2, must work`)
}

// The cost of a loop with 1,000 nodes and 20,000 pods: all reasons are on, and nine in ten nodes are outdated. The search for consolidations,
// which is beside the loop, is left out. Run with: go test -tags externalgrpc ./cloudprovider/move -run '^$' -bench Decide.
func BenchmarkDecide(b *testing.B) {
	const nodes, groups, podsPerNode = 1000, 50, 20
	f := &fleet{groups: map[string]*group.Group{}, alone: map[string]bool{}}
	for n := range nodes {
		var workloads []string
		for p := range podsPerNode {
			workloads = append(workloads, fmt.Sprint("web-", (n*podsPerNode+p)%(nodes*podsPerNode/10)))
		}
		f.node(fmt.Sprintf("g%d-%d", n%groups, n), nil, workloads...)
		i, g := f.nodes[n].Instance, f.nodes[n].Group
		i.Type, i.Zone, i.Origin = "m5.large", "us-west-2a", "lt version 1"
		if n/groups%10 == 0 {
			i.Origin = "lt version 2"
		}
		g.Zones, g.Tags = []string{"us-west-2a"}, map[string]string{move.TagBudget: "100%"}
		g.LaunchSpec = &launchspec.LaunchSpec{Next: []string{"lt version 2"}}
	}
	rules, _ := move.ParseRepairRules(nil)
	budgets, _ := move.ParseBudgets([]string{"100%"})
	consolidate := &move.Consolidate{On: true}
	consolidate.Began(f.nodes[0].Pods(), noon.Add(50*time.Minute))
	m := &move.Machine{Budgets: budgets, Proof: 5 * time.Minute, Reasons: []move.Reason{
		&move.NodeRepair{Rules: rules, Types: instancetypes.Embedded},
		&move.Shrink{Keeps: func(*corev1.Node) bool { return false }}, move.Rotate{MaxAge: 720 * time.Hour}, consolidate}}
	b.ReportAllocs()
	var d move.Decision
	for b.Loop() {
		d = f.decide(m, noon.Add(time.Hour))
	}
	b.ReportMetric(float64(len(d.Changes)), "begun")
	b.ReportMetric(float64(len(d.Held)), "held")
}
