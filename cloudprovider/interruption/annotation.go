package interruption

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/providerid"
)

// Annotations, taint and labels of a node that is being drained. They are all that the next leader has if the message is gone.
const (
	// Taint keeps pods away that tolerate a cordon. Its value is the kind of the event.
	Taint = "asg-autoscaler/interruption"
	// annotationKind is the kind of the event. annotationReason explains it to people.
	annotationKind   = "asg-autoscaler/interruption"
	annotationReason = "asg-autoscaler/interruption-reason"
	// annotationBegan and annotationDeadline bound the drain, in RFC 3339.
	annotationBegan    = "asg-autoscaler/interruption-began"
	annotationDeadline = "asg-autoscaler/interruption-deadline"
	// annotationStage is stageDraining, or stageTerminating, a space and the time when termination began.
	annotationStage = "asg-autoscaler/interruption-stage"
	// annotationEnds is set if AWS stops or terminates the instance at the time of a scheduled change.
	annotationEnds = "asg-autoscaler/interruption-ends"
	// annotationUndo lists the changes to undo: undoCordon, undoLabel.
	annotationUndo = "asg-autoscaler/interruption-undo"

	stageDraining    = "draining"
	stageTerminating = "handing-back"
	undoCordon       = "cordon"
	undoLabel        = "label"

	labelExcluded = corev1.LabelNodeExcludeBalancers

	// The core sets taintDeleted on a node that it removes. Taints of aws-node-termination-handler begin with
	// terminationHandler.
	taintDeleted       = "ToBeDeletedByClusterAutoscaler"
	terminationHandler = "aws-node-termination-handler/"
)

// annotation is the content of a node's annotations.
type annotation struct {
	reason
	terminating time.Time // when termination began, zero before
}

// annotationOf reads the annotations of a node. It reports false without them, and without a node. Annotations that somebody
// has spoilt give a reason of unknown kind whose deadline has passed.
func annotationOf(node *corev1.Node) (annotation, bool) {
	if node == nil {
		return annotation{}, false
	}
	a := node.Annotations
	kind, ok := a[annotationKind]
	if !ok {
		return annotation{}, false
	}
	m := annotation{reason: reason{kind: event.Kind(kind), text: a[annotationReason], ends: a[annotationEnds] == "true"}}
	m.began, _ = time.Parse(time.RFC3339, a[annotationBegan])
	m.deadline, _ = time.Parse(time.RFC3339, a[annotationDeadline])
	if stage, since, _ := strings.Cut(a[annotationStage], " "); stage == stageTerminating {
		m.terminating, _ = time.Parse(time.RFC3339, since)
	}
	return m, true
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
// that is annotated already gets the new reason, and keeps its list of changes to undo and the earlier of the two deadlines.
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
	if before, already := annotationOf(node); already {
		if !before.deadline.IsZero() && m.deadline.After(before.deadline) {
			m.deadline = before.deadline
		}
	} else {
		var undo []string
		if !node.Spec.Unschedulable {
			undo = append(undo, undoCordon)
		}
		if _, excluded := node.Labels[labelExcluded]; !excluded {
			undo = append(undo, undoLabel)
		}
		node.Annotations[annotationUndo] = strings.Join(undo, ",")
	}
	node.Spec.Unschedulable = true
	if _, excluded := node.Labels[labelExcluded]; !excluded {
		node.Labels[labelExcluded] = "true"
	}
	node.Spec.Taints = append(withoutTaint(node.Spec.Taints), corev1.Taint{Key: Taint, Value: string(m.kind), Effect: corev1.TaintEffectNoSchedule})
	node.Annotations[annotationKind] = string(m.kind)
	node.Annotations[annotationReason] = m.text
	node.Annotations[annotationBegan] = m.began.UTC().Format(time.RFC3339)
	node.Annotations[annotationDeadline] = m.deadline.UTC().Format(time.RFC3339)
	node.Annotations[annotationStage] = stageDraining
	delete(node.Annotations, annotationEnds)
	if m.ends {
		node.Annotations[annotationEnds] = "true"
	}
	if !m.terminating.IsZero() {
		node.Annotations[annotationStage] = stageTerminating + " " + m.terminating.UTC().Format(time.RFC3339)
	}
	return node
}

// uncordoned is a copy of the node with those changes undone that cordoned made.
func uncordoned(node *corev1.Node) *corev1.Node {
	node = node.DeepCopy()
	undo := strings.Split(node.Annotations[annotationUndo], ",")
	if slices.Contains(undo, undoCordon) {
		node.Spec.Unschedulable = false
	}
	if slices.Contains(undo, undoLabel) {
		delete(node.Labels, labelExcluded)
	}
	node.Spec.Taints = withoutTaint(node.Spec.Taints)
	for _, key := range []string{annotationKind, annotationReason, annotationBegan, annotationDeadline, annotationStage, annotationEnds, annotationUndo} {
		delete(node.Annotations, key)
	}
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
	id, _ := providerid.Instance(node.Spec.ProviderID)
	return id
}
