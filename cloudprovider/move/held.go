package move

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/drain"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// Hold is what holds a move back.
type Hold string

const (
	HeldAlone    Hold = "left-alone"   // its group, its zone or itself
	HeldStopped  Hold = "stopped"      // moves of its group for this reason have failed
	HeldUnsure   Hold = "unsure"       // its reason seems to be gone
	HeldSick     Hold = "unhealthy"    // too many nodes are or may be, so what they share may be at fault
	HeldRoom     Hold = "no-room"      // no group can launch a node for its pods
	HeldWindow   Hold = "window"       // no window is open
	HeldPending  Hold = "pending-pods" // which come first
	HeldBudget   Hold = "budget"       // as many nodes move as may
	HeldFirst    Hold = "first-move"   // the first move of its group to this target is not proven
	HeldWorkload Hold = "workload"     // another pod of one of its workloads moves
	HeldRollout  Hold = "rollout"      // a workload has pods that are not Ready
	HeldRestart  Hold = "restart"      // its Deployments are restarted first
	HeldStarting Hold = "starting"     // nodes of its group, or of that of its new node, start
)

// PodHoldsFor is how long a pod that waits, or does not run, holds moves. One that takes longer has another problem.
const PodHoldsFor = 15 * time.Minute

// Lasts reports whether it may hold until somebody does something. A rollout may be paused or stuck.
func (h Hold) Lasts() bool { return h == HeldAlone || h == HeldStopped || h == HeldRollout }

const LeftAlone = "it, its group or its zone is left alone, or the API server refuses to write its move"

// Held says why a node that is due does not move yet.
type Held struct {
	Why
	Reason  string
	Hold    Hold
	Message string
}

func (r *round) hold(n Node, why Why, reason string, hold Hold, message string) {
	r.decision.Held[n.Name] = Held{Why: why, Reason: reason, Hold: hold, Message: message}
}

// shut says why no node of a group moves now for a reason, "" if nodes do. That also holds moves that have begun, before their drain. A repair
// waits for no pod: its node is of no use to them. Nor does a schedule, or a node that AWS ends: AWS does not wait.
func (r *round) shut(g *group.Group, reason string, ends bool) (Hold, string) {
	message, known := r.closed[reason]
	if !known {
		if open, next := r.Windows.Open(reason, r.now); !open {
			message = "no window is open"
			if !next.IsZero() {
				message += " before " + next.UTC().Format("2006-01-02T15:04Z")
			}
		}
		r.closed[reason] = message
	}
	switch {
	case message != "":
		return HeldWindow, message
	case r.Pending && reason != Repair && reason != Schedule && !ends:
		return HeldPending, "pods wait for nodes, and they come first"
	case r.Budgets.Left(reason, len(r.Nodes), nil) <= 0:
		return HeldBudget, "--asg-move-budget lets no node move"
	case GroupBudgets(g).Left(reason, 1, nil) <= 0:
		return HeldBudget, fmt.Sprintf("group %q lets no node move", g.Name)
	}
	return "", ""
}

// held says what holds the move of a node back, "" for nothing.
func (r *round) held(due candidate) (Hold, string) {
	g, reason, to := due.Group, due.reason, target{due.Group.Name, due.reason, due.Target}
	if r.LeftAlone(due.Node) || due.Reboot && Disabled(due.Node.Node) {
		return HeldAlone, LeftAlone
	}
	if r.failures[to] >= mostFailures && !due.Ends {
		return HeldStopped, fmt.Sprintf("%d moves of group %q have failed, so the others wait: asgctl moves resume %s", r.failures[to], g.Name, g.Name)
	}
	if hold, message := r.shut(g, reason, due.Ends); hold != "" {
		return hold, message
	}
	busy := r.moving[""]
	if reason == Schedule { // AWS does not wait for repairs that a budget for disruption keeps
		busy -= r.moving[Repair]
	}
	switch {
	case r.AtOnce > 0 && busy >= r.AtOnce:
		return HeldBudget, fmt.Sprintf("%d nodes move, twice as many as --max-drain-parallelism lets drain", busy)
	case r.Budgets.Left(reason, len(r.Nodes), r.moving) <= 0:
		return HeldBudget, fmt.Sprintf("%d nodes move, as many as --asg-move-budget lets", r.moving[""])
	case GroupBudgets(g).Left(reason, r.sizes[g.Name], r.inGroup[g.Name]) <= 0:
		return HeldBudget, fmt.Sprintf("%d nodes of group %q move, as many as it lets", r.inGroup[g.Name][""], g.Name)
	}
	if first := r.conforming[g.Name]; due.Target != "" && !r.groupProven(g.Name) && (r.to[to] > 0 || len(first) > 0) {
		name := fmt.Sprintf("of group %q", g.Name)
		if len(first) > 0 {
			oldest := slices.MinFunc(first, func(a, b Node) int {
				return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
			})
			name += ", " + oldest.Name + ","
		}
		return HeldFirst, fmt.Sprintf("the first new node %s must work, not be cordoned, and have been Ready for %s, with its pods and those of its DaemonSets", name, r.Proof)
	}
	if reason == Repair || due.Ends {
		return "", ""
	}
	for _, pod := range r.leaving(due.Node) {
		of := workload(pod)
		if node := r.workloads[of]; of != "" && node != "" {
			return HeldWorkload, fmt.Sprintf("a pod of %q moves from node %q", of, node)
		}
	}
	return r.unsettled(due.Node)
}

// groupProven reports whether a node of the group that is as it should be is proven.
func (r *round) groupProven(group string) bool {
	proven, known := r.proofs[group]
	if !known {
		proven = slices.ContainsFunc(r.conforming[group], r.proven)
		r.proofs[group] = proven
	}
	return proven
}

// stopped reports whether the pod waits for a node, and not for kube-scheduler, which may be down, or one of its containers does not run, though no
// init container runs before it, which may copy data.
func stopped(pod *corev1.Pod) bool {
	s := &pod.Status
	copies := slices.ContainsFunc(s.InitContainerStatuses, func(c corev1.ContainerStatus) bool { return c.State.Running != nil })
	waits := func(c corev1.ContainerStatus) bool {
		w := c.State.Waiting
		return w != nil && !(copies && w.Reason == "PodInitializing")
	}
	_, verdict := podutil.GetPodCondition(s, corev1.PodScheduled) // other schedulers may hold pods back without one
	judged := verdict != nil || pod.Spec.SchedulerName != corev1.DefaultSchedulerName
	return pod.Spec.NodeName == "" && judged || slices.ContainsFunc(s.InitContainerStatuses, waits) ||
		slices.ContainsFunc(s.ContainerStatuses, func(c corev1.ContainerStatus) bool { return waits(c) || !copies && c.State.Terminated != nil })
}

// unsettled says which workload of the node has a pod that is not Ready, or is a Deployment with pods of two templates, wherever they are. A pod that
// does not run counts for PodHoldsFor. One that runs may copy data, and counts until it is Ready. It also holds moves that have begun, before their
// drain, because a rollout may begin while their new node starts.
func (r *round) unsettled(n Node) (Hold, string) {
	if r.unready == nil {
		r.unready, r.there = map[string]bool{}, map[types.UID]int{}
		templates := map[string]string{} // of Deployments and Rollouts
		pods, _ := r.Pods()              // it reads a cache
		for _, pod := range pods {
			of, hash := workload(pod), nodemeta.TemplateHash(pod)
			if c := metav1.GetControllerOfNoCopy(pod); c != nil && pod.DeletionTimestamp == nil && !podutil.IsPodTerminal(pod) {
				r.there[c.UID]++
			}
			if !drain.Moves(pod, r.now) || pod.DeletionTimestamp != nil && hash != "" { // the rollout may have ended
				continue
			}
			ready := cmp.Or(podutil.GetPodReadyCondition(pod.Status), &corev1.PodCondition{LastTransitionTime: pod.CreationTimestamp})
			stuck := stopped(pod) && r.now.Sub(ready.LastTransitionTime.Time) >= PodHoldsFor
			if ready.Status != corev1.ConditionTrue && !stuck || hash != "" && cmp.Or(templates[of], hash) != hash {
				r.unready[of] = true
			}
			templates[of] = cmp.Or(hash, templates[of])
		}
	}
	hold, message := Hold(""), ""
	for _, pod := range r.leaving(n) {
		of := workload(pod)
		if of == "" {
			continue
		}
		lacks := r.lacks(pod) // each controller has its time from now on, although another one holds
		switch {
		case hold != "":
		case r.unready[of]:
			hold, message = HeldRollout, fmt.Sprintf("%q has a pod that is not Ready, or is being rolled out", of)
		case lacks:
			hold, message = HeldRollout,
				fmt.Sprintf("%q has fewer pods than it is to have: a quota, a webhook or the controller manager may keep it from new ones", of)
		}
	}
	return hold, message
}

// lacks reports whether the pod's controller has had fewer pods than it is to have for less than PodHoldsFor. Each further one that it lacks counts
// anew. It may make none in the place of pods that are evicted, and then no pod waits.
func (r *round) lacks(pod *corev1.Pod) bool {
	c := metav1.GetControllerOfNoCopy(pod)
	lacks, before := r.Wanted(pod)-r.there[c.UID], r.lack[c.UID]
	if lacks <= 0 {
		delete(r.lack, c.UID)
		return false
	}
	if lacks > before.pods {
		before.since = r.now
	}
	r.lack[c.UID] = lack{lacks, before.since, r.now}
	return r.now.Sub(before.since) < PodHoldsFor
}

// proven reports whether a node has been Ready for long enough, with its pods. Pods of DaemonSets that run elsewhere are Ready, too, because a new
// image may break them alone. Pods that are younger say nothing, unless it has only had such for longer, as of jobs.
func (r *round) proven(n Node) bool {
	since := r.now.Add(-r.Proof)
	pods := r.leaving(n)
	old := slices.DeleteFunc(slices.Clone(pods), func(p *corev1.Pod) bool { return p.CreationTimestamp.After(since) })
	ready := nodemeta.ReadySince(n.Node)
	return nodemeta.Ready(n.Node) && !ready.After(since) && !n.Cordoned &&
		!slices.ContainsFunc(r.Reasons, func(reason Reason) bool { return !reason.Judged(n) }) &&
		(len(old) > 0 || len(pods) == 0 || r.now.Sub(ready) >= 3*r.Proof && slices.ContainsFunc(pods, podutil.IsPodReady)) &&
		!slices.ContainsFunc(n.Pods(), func(p *corev1.Pod) bool {
			return nodemeta.BelongsToNode(p) && !podutil.IsPodReady(p) && r.readyElsewhere(p)
		}) &&
		!slices.ContainsFunc(old, func(p *corev1.Pod) bool {
			return !podutil.IsPodReady(p) || podutil.GetPodReadyCondition(p.Status).LastTransitionTime.After(since)
		})
}

// readyElsewhere reports whether another pod of the pod's DaemonSet is Ready.
func (r *round) readyElsewhere(pod *corev1.Pod) bool {
	kind, name := nodemeta.Owner(pod)
	return kind == "DaemonSet" && slices.ContainsFunc(r.Nodes, func(n Node) bool {
		return slices.ContainsFunc(n.Pods(), func(p *corev1.Pod) bool {
			k, other := nodemeta.Owner(p)
			return k == kind && other == name && p.Namespace == pod.Namespace && podutil.IsPodReady(p)
		})
	})
}
