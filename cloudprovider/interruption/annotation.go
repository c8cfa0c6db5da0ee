package interruption

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// Taint keeps pods away that tolerate a cordon. Its value is the kind of the event. The annotation of the same key has all that the next
// leader needs if the message is gone.
const Taint = "asg-autoscaler.github.io/interruption"

const (
	labelExcluded = corev1.LabelNodeExcludeBalancers

	// The core sets taintDeleted on a node that it removes. Taints of aws-node-termination-handler begin with
	// terminationHandler.
	taintDeleted       = "ToBeDeletedByClusterAutoscaler"
	terminationHandler = "aws-node-termination-handler/"
)

// state is the JSON of the annotation.
type state struct {
	Kind        event.Kind `json:"kind"`
	Reason      string     `json:"reason"`               // for people
	Cordoned    bool       `json:"cordoned,omitempty"`   // by the autoscaler, which undoes it in the end
	Excluded    bool       `json:"excluded,omitempty"`   // from load balancers, likewise
	Ends        bool       `json:"ends,omitempty"`       // AWS stops or terminates the instance at the time of a scheduled change
	Deadline    time.Time  `json:"deadline"`             // for the drain
	Began       time.Time  `json:"began"`                //
	Terminating time.Time  `json:"terminating,omitzero"` // when termination began
}

// stateOf reads the annotation of a node, nil for no node. It reports false without one. Of one that somebody has spoilt it reads what comes before.
func stateOf(node *corev1.Node) (s state, annotated bool) {
	if node == nil {
		return s, false
	}
	text, annotated := node.Annotations[Taint]
	_ = json.Unmarshal([]byte(text), &s)
	return s, annotated
}

// annotation is why a node is drained, and how far.
type annotation struct {
	reason
	terminating time.Time // when termination began, zero before
}

// annotationOf reads the annotation of a node. It reports false without one, and without a node. An annotation that somebody
// has spoilt gives a reason of unknown kind whose deadline has passed.
func annotationOf(node *corev1.Node) (annotation, bool) {
	s, annotated := stateOf(node)
	return annotation{reason: reason{kind: s.Kind, text: s.Reason, began: s.Began, deadline: s.Deadline, ends: s.Ends}, terminating: s.Terminating}, annotated
}

// Draining returns why a node is drained for AWS and since when, and false for any other node. The texts come from annotations, which somebody
// may have changed.
func Draining(node *corev1.Node) (reason string, since time.Time, draining bool) {
	a, draining := annotationOf(node)
	return a.text, a.began, draining
}

// resumed is the reason for which a drain is taken up again. An instance that outlived its deadline keeps its pods for as long
// as after a warning. If somebody has spoilt the time of beginning, the drain begins now.
func (m annotation) resumed(now time.Time) reason {
	c := m.reason
	if c.began.IsZero() || now.Before(c.began) {
		c.began = now
	}
	if !now.Before(c.deadline) {
		c.extended = now.Add(notice)
	}
	return c
}

// cordoned is a copy of the node that is cordoned, tainted, excluded from load balancers, and annotated with the reason. A node
// that is annotated already gets the new reason, and keeps what is to be undone and the earlier of the two deadlines.
// Otherwise an instance that Auto Scaling refuses to terminate would be drained again and again, and its node never put back
// into use.
func cordoned(node *corev1.Node, m annotation) *corev1.Node {
	node = node.DeepCopy()
	if node.Annotations == nil {
		node.Annotations = map[string]string{}
	}
	if node.Labels == nil {
		node.Labels = map[string]string{}
	}
	now := state{Kind: m.kind, Reason: m.text, Began: m.began.UTC().Truncate(time.Second), Deadline: m.deadline.UTC().Truncate(time.Second), Terminating: m.terminating.UTC(), Ends: m.ends}
	_, excluded := node.Labels[labelExcluded]
	if before, already := stateOf(node); already {
		now.Cordoned, now.Excluded = before.Cordoned, before.Excluded
		if !before.Deadline.IsZero() && m.deadline.After(before.Deadline) {
			now.Deadline = before.Deadline
		}
	} else {
		now.Cordoned, now.Excluded = !node.Spec.Unschedulable, !excluded
	}
	node.Spec.Unschedulable = true
	if !excluded {
		node.Labels[labelExcluded] = "true"
	}
	node.Spec.Taints = append(withoutTaint(node.Spec.Taints), corev1.Taint{Key: Taint, Value: string(m.kind), Effect: corev1.TaintEffectNoSchedule})
	text, _ := json.Marshal(now) // of times and words, which cannot fail
	node.Annotations[Taint] = string(text)
	return node
}

// uncordoned is a copy of the node with those changes undone that cordoned made.
func uncordoned(node *corev1.Node) *corev1.Node {
	node = node.DeepCopy()
	s, _ := stateOf(node)
	if s.Cordoned {
		node.Spec.Unschedulable = false
	}
	if s.Excluded {
		delete(node.Labels, labelExcluded)
	}
	node.Spec.Taints = withoutTaint(node.Spec.Taints)
	delete(node.Annotations, Taint)
	return node
}

func withoutTaint(taints []corev1.Taint) []corev1.Taint {
	return slices.DeleteFunc(slices.Clone(taints), func(t corev1.Taint) bool { return t.Key == Taint })
}

// drainedByCore and drainedByOther report who else drains the node: the core's scale-down, or aws-node-termination-handler.
func drainedByCore(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == taintDeleted })
}

func drainedByOther(node *corev1.Node) bool {
	return drainedByCore(node) || slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool {
		return strings.HasPrefix(t.Key, terminationHandler)
	})
}

// instanceOf is the instance behind a node, empty if unknown.
func instanceOf(node *corev1.Node) string {
	id, _ := nodemeta.Instance(node.Spec.ProviderID)
	return id
}
