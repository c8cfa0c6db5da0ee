package interruption

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/providerid"
)

// What stands on a node that is going. The annotations are all that the next leader has if the message is gone.
const (
	// Taint keeps pods away that tolerate a cordon; its value is the kind of the event.
	Taint = "asg-autoscaler/interruption"
	// annotationKind is the kind of the event, annotationReason says it for people.
	annotationKind   = "asg-autoscaler/interruption"
	annotationReason = "asg-autoscaler/interruption-reason"
	// annotationBegan and annotationDeadline are the times of the drain, RFC 3339.
	annotationBegan    = "asg-autoscaler/interruption-began"
	annotationDeadline = "asg-autoscaler/interruption-deadline"
	// annotationStage is stageDraining, or stageHandingBack with a space and since when.
	annotationStage = "asg-autoscaler/interruption-stage"
	// annotationEnds stands on the node if AWS ends the instance at the time of a scheduled change.
	annotationEnds = "asg-autoscaler/interruption-ends"
	// annotationUndo names what marking the node has changed, of undoCordon and undoLabel.
	annotationUndo = "asg-autoscaler/interruption-undo"

	stageDraining    = "draining"
	stageHandingBack = "handing-back"
	undoCordon       = "cordon"
	undoLabel        = "label"

	labelExcluded = corev1.LabelNodeExcludeBalancers

	// taintDeleted is the core's, on a node that it removes; terminationHandler begins those of aws-node-termination-handler.
	taintDeleted       = "ToBeDeletedByClusterAutoscaler"
	terminationHandler = "aws-node-termination-handler/"
)

// mark is what stands on a node.
type mark struct {
	cause
	handedBack time.Time // when giving the instance back began; zero before
}

// markOf reads the mark of a node; false if it has none, or there is no node. A mark that somebody has spoilt is one of nothing in particular, whose
// time is over.
func markOf(node *corev1.Node) (mark, bool) {
	if node == nil {
		return mark{}, false
	}
	a := node.Annotations
	kind, ok := a[annotationKind]
	if !ok {
		return mark{}, false
	}
	m := mark{cause: cause{kind: event.Kind(kind), reason: a[annotationReason], ends: a[annotationEnds] == "true"}}
	m.began, _ = time.Parse(time.RFC3339, a[annotationBegan])
	m.deadline, _ = time.Parse(time.RFC3339, a[annotationDeadline])
	if stage, since, _ := strings.Cut(a[annotationStage], " "); stage == stageHandingBack {
		m.handedBack, _ = time.Parse(time.RFC3339, since)
	}
	return m, true
}

// resumed is the cause for which a drain is taken up again. An instance that is there beyond its time is not ended under its pods:
// they get as long as after a warning. A time of beginning that somebody has spoilt is now.
func (m mark) resumed(now time.Time) cause {
	c := m.cause
	if c.began.IsZero() || now.Before(c.began) {
		c.began = now
	}
	if !now.Before(c.deadline) {
		c.extended = now.Add(notice)
	}
	return c
}

// marked is a copy of the node that is cordoned, tainted, off the load balancers, and says why. A node that is marked already
// gets the new cause, and keeps what is to be undone and the earlier of the two deadlines: an instance that Auto Scaling will not take
// back would otherwise be drained again and again, and its node never put back into use.
func marked(node *corev1.Node, m mark) *corev1.Node {
	node = node.DeepCopy()
	if node.Annotations == nil {
		node.Annotations = map[string]string{}
	}
	if node.Labels == nil {
		node.Labels = map[string]string{}
	}
	if before, already := markOf(node); already {
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
	node.Annotations[annotationReason] = m.reason
	node.Annotations[annotationBegan] = m.began.UTC().Format(time.RFC3339)
	node.Annotations[annotationDeadline] = m.deadline.UTC().Format(time.RFC3339)
	node.Annotations[annotationStage] = stageDraining
	delete(node.Annotations, annotationEnds)
	if m.ends {
		node.Annotations[annotationEnds] = "true"
	}
	if !m.handedBack.IsZero() {
		node.Annotations[annotationStage] = stageHandingBack + " " + m.handedBack.UTC().Format(time.RFC3339)
	}
	return node
}

// unmarked is a copy of the node as it was before it was marked.
func unmarked(node *corev1.Node) *corev1.Node {
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

// drainedByCore and drainedByOther report who else is draining the node: the core's scale-down, or aws-node-termination-handler.
func drainedByCore(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == taintDeleted })
}

func drainedByOther(node *corev1.Node) bool {
	return drainedByCore(node) || slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool {
		return strings.HasPrefix(t.Key, terminationHandler)
	})
}

// instanceOf is the instance behind a node. It is empty where that is not known.
func instanceOf(node *corev1.Node) string {
	id, _ := providerid.Instance(node.Spec.ProviderID)
	return id
}

func ready(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}
