package nodetemplate

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Tag keys that describe the nodes of a group. After each prefix comes the label, taint, resource or option.
const (
	templatePrefix  = "k8s.io/cluster-autoscaler/node-template/"
	labelPrefix     = templatePrefix + "label/"
	taintPrefix     = templatePrefix + "taint/"
	resourcesPrefix = templatePrefix + "resources/"
	optionsPrefix   = templatePrefix + "autoscaling-options/"

	// EKS puts this on the Auto Scaling groups of its managed node groups. The stock provider turns every "eks:" tag into a
	// label without that prefix. No node carries such labels, so ParseTags does not make them.
	eksNodegroupTag = "eks:nodegroup-name"
)

// Declared holds the facts that a group's tags declare about its nodes.
type Declared struct {
	Labels    map[string]string
	Taints    []corev1.Taint // one per key
	Resources corev1.ResourceList
	Options   Options

	ManagedNodegroup string // the name of the group's EKS managed node group, "" if there is none
}

// ParseTags reads the node-template tags of group and ignores all other tags. It reads every form that the stock provider acts on.
// Malformed tags are left out and returned as problems, sorted by tag key. The returned maps are never nil and share nothing with tags.
func ParseTags(group string, tags map[string]string) (Declared, []Problem) {
	d := Declared{Labels: map[string]string{}, Resources: corev1.ResourceList{}, ManagedNodegroup: tags[eksNodegroupTag]}
	var problems []Problem
	report := func(key string, p *Problem) {
		if p != nil {
			p.Group, p.Key, p.Value = group, key, tags[key]
			problems = append(problems, *p)
		}
	}
	if !ValidValue(d.ManagedNodegroup) {
		d.ManagedNodegroup = ""
		report(eksNodegroupTag, &Problem{Reason: ReasonLabelValue, Expected: "the name of an EKS managed node group"})
	}
	read := map[string]bool{} // the keys that were read, from templatePrefix on
	var misplaced []string
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		switch at := strings.Index(key, templatePrefix); {
		case at == 0:
			p := d.read(key, tags[key])
			read[key] = p == nil
			report(key, p)
		case at > 0:
			misplaced = append(misplaced, key)
		}
	}
	for _, key := range misplaced {
		report(key, d.readMisplaced(key[strings.Index(key, templatePrefix):], tags[key], read))
	}
	slices.SortStableFunc(problems, func(a, b Problem) int { return cmp.Compare(a.Key, b.Key) })
	return d, problems
}

func (d *Declared) read(key, value string) *Problem {
	for prefix, read := range map[string]func(name, value string) *Problem{labelPrefix: d.readLabel, taintPrefix: d.readTaint,
		resourcesPrefix: d.readResource, optionsPrefix: d.Options.read} {
		if name, ok := strings.CutPrefix(key, prefix); ok {
			return read(name, value)
		}
	}
	return &Problem{Reason: ReasonUnknownKind, Expected: "label/, taint/, resources/ or autoscaling-options/ after " + templatePrefix}
}

// readMisplaced reads one tag whose key had templatePrefix further on. The stock provider reads the labels, taints and
// resources of such tags. They count here too, with a warning, where no other tag has been read for the same.
func (d *Declared) readMisplaced(key, value string, read map[string]bool) *Problem {
	misplaced := &Problem{Reason: ReasonMisplacedPrefix, Expected: "the key to begin with " + templatePrefix, Example: key + "=" + value}
	if read[key] || strings.HasPrefix(key, optionsPrefix) {
		return misplaced
	}
	if p := d.read(key, value); p != nil {
		return p
	}
	read[key], misplaced.Used = true, true
	return misplaced
}
