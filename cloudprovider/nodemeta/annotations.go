package nodemeta

import (
	"fmt"
	"hash/fnv"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ZoneAssumed is a label on the simulated node of a whole group that can be scaled zone by zone. Its zone labels name one zone of
// several, and a pod that cannot run in all of them waits until the group is divided. The value is Among of them. A label rather than
// an annotation, because pods select nodes by it.
//
// KindAssumed is the same for instance types: the labels of the simulated node name one type of several, and the group takes no pod that
// cannot run on all of them.
const (
	ZoneAssumed = "asg-autoscaler.github.io/zone-assumed"
	KindAssumed = "asg-autoscaler.github.io/kind-assumed"
)

// Among stands for a choice in the value of a label, which is too short for the names.
func Among[T any](choice []T) string {
	hash := fnv.New64a()
	_, _ = fmt.Fprint(hash, choice)
	return strconv.FormatUint(hash.Sum64(), 36)
}

type Annotation string

const (
	// NodeGroup holds the ID of the node group that a simulated node belongs to.
	NodeGroup Annotation = "asg-autoscaler.github.io/node-group"
	// Template is on a node that was built from a template, rather than copied from a live node. A group may have instances and
	// still be known by its template alone: the first ones are on their way.
	Template Annotation = "asg-autoscaler.github.io/template"
	// Placeholder is on a node that represents a node group about which nothing is known.
	Placeholder Annotation = "asg-autoscaler.github.io/placeholder"
	// Assumed is on a resource slice that no node of the group publishes now.
	Assumed Annotation = "asg-autoscaler.github.io/assumed"
	// Moved is on the copy of a pod that runs on a node which is to be replaced, while the core looks for another place for it.
	Moved Annotation = "asg-autoscaler.github.io/moved"
	// RemovalRequested is on a node whose removal somebody asks for, see ToGo. People and asgctl write it, and the autoscaler only reads it.
	RemovalRequested Annotation = "cluster-autoscaler.kubernetes.io/scale-down-requested"
)

// Notes are the annotations that adapters put on their own copies of objects. On an object of the cluster somebody else has put them.
var Notes = []Annotation{NodeGroup, Template, Placeholder, Assumed, Moved}

// ReplaceFirst is the value of RemovalRequested that has another node come first if the group or the pods need it.
const ReplaceFirst = "replace"

// ToGo reports whether somebody asks for the removal of the node.
func ToGo(node metav1.Object) bool {
	return RemovalRequested.Of(node) == "true" || RemovalRequested.Of(node) == ReplaceFirst
}

func (a Annotation) Set(object metav1.Object, value string) {
	if object.GetAnnotations() == nil {
		object.SetAnnotations(map[string]string{})
	}
	object.GetAnnotations()[string(a)] = value
}

func (a Annotation) Of(object metav1.Object) string { return object.GetAnnotations()[string(a)] }

func (a Annotation) Mark(object metav1.Object) { a.Set(object, "true") }

func (a Annotation) On(object metav1.Object) bool { return a.Of(object) != "" }
