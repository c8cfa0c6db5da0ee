package show

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// Prefixes of the tags that describe a group's nodes.
const (
	templateTag  = "k8s.io/cluster-autoscaler/node-template/"
	labelTag     = templateTag + "label/"
	taintTag     = templateTag + "taint/"
	resourcesTag = templateTag + "resources/"
)

// Limits of EC2 Auto Scaling on a tag (user guide, "Tag naming and usage restrictions").
const (
	maxKey   = 128
	maxValue = 256
)

// eksLabels begin the labels that EKS puts on the nodes of managed node groups, by their user data. They change with the image
// and the launch template. A tag would keep the old value.
const eksLabels = "eks.amazonaws.com/"

// tag is one tag of an Auto Scaling group.
type tag = shellword.Tag

// explicitTags returns, by key, tags for the derived parts of t: labels and taints from user data alone, except EKS's own labels,
// and resources from instance types, formulas and defaults. With them the template stays the same, except for its capacity,
// which a resources tag sets equal to allocatable. Notes name the parts that no tag can state.
func explicitTags(t nodetemplate.Template) (tags []tag, notes []string) {
	add := func(key, value string) {
		if len(key) > maxKey || len(value) > maxValue {
			notes = append(notes, fmt.Sprintf("%s is too long for a tag", key))
			return
		}
		tags = append(tags, tag{Key: key, Value: value})
	}
	nodegroup := t.Sources.Labels[eksLabels+"nodegroup"].Kind
	managed := nodegroup != "" && nodegroup != nodetemplate.SourceUserData // there, it is a label of the owner's
	for _, key := range slices.Sorted(maps.Keys(t.Labels)) {
		if t.Sources.Labels[key].Kind == nodetemplate.SourceUserData && !(managed && strings.HasPrefix(key, eksLabels)) {
			add(labelTag+key, t.Labels[key])
		}
	}
	written := map[string]corev1.Taint{}
	for _, taint := range t.Taints {
		if t.Sources.Taints[taint.Key+":"+string(taint.Effect)].Kind != nodetemplate.SourceUserData {
			continue
		}
		if first, ok := written[taint.Key]; ok {
			notes = append(notes, fmt.Sprintf("taint %s has the effects %s and %s, of which a tag can state one", taint.Key, first.Effect, taint.Effect))
			continue
		}
		written[taint.Key] = taint
		add(taintTag+taint.Key, taint.Value+":"+string(taint.Effect))
	}
	for _, name := range slices.Sorted(maps.Keys(t.Allocatable)) {
		if q := t.Allocatable[name]; t.Sources.Allocatable[string(name)].Kind != nodetemplate.SourceTag && !q.IsZero() {
			add(resourcesTag+string(name), q.String())
		}
	}
	slices.SortFunc(tags, func(a, b tag) int { return strings.Compare(a.Key, b.Key) })
	return tags, notes
}
