package interruption

import (
	"encoding/json"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// Taint keeps pods away that tolerate a cordon. Its value is the kind of the event. The annotation of the same key has all that the next
// leader needs if the message is gone.
const Taint = "asg-autoscaler.github.io/interruption"

// annotation is the JSON of the annotation: why a node is drained, and how far.
type annotation struct {
	reason
	Group       string    `json:"group,omitempty"`      // which another process may own, where several share a cluster
	Cordoned    bool      `json:"cordoned,omitempty"`   // by the autoscaler or its core, so that the autoscaler undoes it
	Excluded    bool      `json:"excluded,omitempty"`   // from load balancers, likewise
	Terminating time.Time `json:"terminating,omitzero"` // when termination began, or the reboot
}

// annotationOf reads the annotation of a node. It reports false without one. If somebody has spoilt it, the reason may be of unknown
// kind, with a deadline that has passed. With the taint the cordon and the label count as ours then.
func annotationOf(node *corev1.Node) (m annotation, annotated bool) {
	text, annotated := node.Annotations[Taint]
	if annotated { // few nodes are
		if err := json.Unmarshal([]byte(text), &m); err != nil || m.Kind == "" {
			m.Cordoned, m.Excluded = tainted(node), tainted(node)
		}
	}
	return m, annotated
}

// Draining returns why a node is drained for AWS or a reboot and since when, and false for any other node. The texts come from annotations, which somebody
// may have changed.
func Draining(node *corev1.Node) (reason string, since time.Time, draining bool) {
	a, draining := annotationOf(node)
	return a.Text, a.Began, draining
}

// Planned reports whether a node is drained for a reboot, or for a change that AWS has planned or advises. The drain may wait for days, or be given up.
func Planned(node *corev1.Node) bool {
	return drainedFor(node, func(k event.Kind) bool { return reason{Kind: k}.planned() })
}

// Rebalances reports whether a node is drained because its instance goes, and a group with Capacity Rebalancing replaces it.
func Rebalances(node *corev1.Node) bool { return drainedFor(node, rebalances) }

func drainedFor(node *corev1.Node, such func(event.Kind) bool) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == Taint && such(event.Kind(t.Value)) })
}

func Rebooting(node *corev1.Node) bool {
	m, _ := annotationOf(node)
	return m.Kind == event.Reboot
}

// RebootAsked reports whether EC2 has been asked to reboot a node's instance. Until then the reboot may be taken back.
func RebootAsked(node *corev1.Node) bool {
	m, _ := annotationOf(node)
	return m.Kind == event.Reboot && !m.Terminating.IsZero()
}

// resumed is the reason for which a drain is taken up again. An instance that outlived its deadline keeps its pods for as long
// as after a warning. If somebody has spoilt the time of beginning, the drain begins now.
func (m annotation) resumed(now time.Time) reason {
	c := m.reason
	if c.Began.IsZero() || now.Before(c.Began) {
		c.Began = now
	}
	if !now.Before(c.Deadline) {
		c.extended = now.Add(notice)
	}
	return c
}

// cordoned is a copy of the node that is cordoned, tainted and annotated with the reason, and off load balancers if m.Excluded asks
// for it. A node that is annotated already gets the new reason, and keeps what is to be undone and, within a rank, the earlier deadline.
// Otherwise an instance that Auto Scaling refuses to terminate would be drained again and again, and its node never put back
// into use. Only a later word of AWS puts the deadline off.
func cordoned(node *corev1.Node, m annotation) *corev1.Node {
	node = node.DeepCopy()
	m.Began, m.Deadline, m.Terminating = m.Began.UTC().Truncate(time.Second), m.Deadline.UTC().Truncate(time.Second), m.Terminating.UTC()
	_, excluded := node.Labels[corev1.LabelNodeExcludeBalancers]
	m.Cordoned, m.Excluded = !node.Spec.Unschedulable || cordonedByCore(node) || tainted(node), m.Excluded && !excluded
	if m.Excluded {
		metav1.SetMetaDataLabel(&node.ObjectMeta, corev1.LabelNodeExcludeBalancers, "true")
	}
	if before, already := annotationOf(node); already {
		m.Cordoned, m.Excluded = before.Cordoned, before.Excluded || m.Excluded
		if m.Terminating.IsZero() {
			m.Terminating = before.Terminating
		}
		if before.rank() == m.rank() && !m.updates(before.reason) && !before.Deadline.IsZero() && m.Deadline.After(before.Deadline) {
			m.Deadline = before.Deadline
		}
	}
	node.Spec.Unschedulable = true
	node.Spec.Taints = append(withoutTaint(node.Spec.Taints), corev1.Taint{Key: Taint, Value: string(m.Kind), Effect: corev1.TaintEffectNoSchedule})
	text, _ := json.Marshal(m) // of times and words, which cannot fail
	metav1.SetMetaDataAnnotation(&node.ObjectMeta, Taint, string(text))
	return node
}

// uncordoned is a copy of the node with those changes undone that cordoned made. If somebody has taken the annotation off, the
// cordon and the label count as ours.
func uncordoned(node *corev1.Node) *corev1.Node {
	node = node.DeepCopy()
	m, annotated := annotationOf(node)
	bare := !annotated && tainted(node)
	if m.Cordoned || bare {
		node.Spec.Unschedulable = false
	}
	if m.Excluded || bare {
		delete(node.Labels, corev1.LabelNodeExcludeBalancers)
	}
	node.Spec.Taints = withoutTaint(node.Spec.Taints)
	delete(node.Annotations, Taint)
	return node
}

func tainted(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == Taint })
}

func withoutTaint(taints []corev1.Taint) []corev1.Taint {
	return slices.DeleteFunc(slices.Clone(taints), func(t corev1.Taint) bool { return t.Key == Taint })
}

// cordonedByCore reports whether the node's cordon came with the core's taint. Whoever takes that off lifts the cordon or leaves it to us.
func cordonedByCore(node *corev1.Node) bool {
	return nodemeta.DrainedByCore(node) && !nodemeta.CordonedBefore(node)
}

// comesAgain reports whether another pod may take the pod's place under its name, such as one of a StatefulSet.
func comesAgain(pod *corev1.Pod) bool {
	c := metav1.GetControllerOf(pod)
	return c != nil && !slices.Contains([]string{"ReplicaSet", "ReplicationController", "Job"}, c.Kind)
}
