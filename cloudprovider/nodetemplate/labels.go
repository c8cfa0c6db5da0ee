package nodetemplate

import (
	"cmp"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
)

// Labels of the nodes of EKS managed node groups.
const (
	labelNodegroup    = "eks.amazonaws.com/nodegroup"
	labelCapacityType = "eks.amazonaws.com/capacityType"
)

// followers maps an older name of a label, or the one that the EBS CSI driver uses, to the label: the cloud and node lifecycle controllers
// keep them in step. A follower that a source declares keeps its own value.
var followers = map[string]string{
	"beta.kubernetes.io/arch":           corev1.LabelArchStable,
	"beta.kubernetes.io/os":             corev1.LabelOSStable,
	corev1.LabelInstanceType:            corev1.LabelInstanceTypeStable,
	corev1.LabelFailureDomainBetaRegion: corev1.LabelTopologyRegion,
	corev1.LabelFailureDomainBetaZone:   corev1.LabelTopologyZone,
	podzone.LabelEBSZone:                corev1.LabelTopologyZone,
}

// addLabels takes the weakest source first, so that each stronger one overrides it. Nothing overrides a pinned zone.
func (t *Template) addLabels(in *Input, d Declared) []Problem {
	t.Labels, t.Assumed = map[string]string{}, map[string]string{}
	t.addTypeLabels(in)
	if in.Region != "" {
		t.promise(corev1.LabelTopologyRegion, in.Region, Source{Kind: SourceGroup, Detail: "region"})
	}
	t.addZone(in)
	learnt, userData := cmp.Or(in.Learnt, &Learnt{}), cmp.Or(in.UserData, &UserData{})
	t.promiseAll(learnt.labels, Source{Kind: SourceLearnt, Detail: "on most nodes of this group that were seen, or on its newest"})
	t.promiseAll(userData.Labels, Source{Kind: SourceUserData, Detail: userData.Form})
	t.addNodegroupLabels(in, d)
	problems := t.addTagLabels(in, d)
	problems = append(problems, t.pinZone(in)...)
	for follower, leader := range followers {
		t.follow(leader, follower)
	}
	t.addKinds(in)
	return problems
}

func (t *Template) promise(key, value string, source Source) {
	delete(t.Assumed, key)
	t.Labels[key] = value
	t.Sources.Labels[key] = source
}

// assume sets a label that every node will carry, though its value may differ.
func (t *Template) assume(key, value string, source Source) {
	t.Assumed[key] = value
	t.Sources.Labels[key] = source
}

func (t *Template) promiseAll(labels map[string]string, source Source) {
	for key, value := range labels {
		t.promise(key, value, source)
	}
}

// follow gives follower the value of leader, unless follower has its own.
func (t *Template) follow(leader, follower string) {
	if _, set := t.Sources.Labels[follower]; set {
		return
	}
	if value, ok := t.Labels[leader]; ok {
		t.promise(follower, value, t.Sources.Labels[leader])
	} else if value, ok := t.Assumed[leader]; ok {
		t.assume(follower, value, t.Sources.Labels[leader])
	}
}

// addKinds sets the kinds of nodes among which AWS chooses. Labels that somebody declared are the same on all of them.
func (t *Template) addKinds(in *Input) {
	kinds := make([]Kind, 0, len(in.Members)+len(in.UnknownTypes))
	_, declared := t.Labels[labelGPUProduct]
	several := slices.ContainsFunc(in.Members, func(m Member) bool { return m.Type.GPU.Name != in.Members[0].Type.GPU.Name })
	for _, m := range in.Members {
		k := Kind{InstanceType: m.Type.Name}
		if gpu := m.Type.GPU; several && !declared && gpu.Manufacturer == "NVIDIA" {
			k.GPU = gpu.Name
		}
		if _, differs := t.Assumed[corev1.LabelArchStable]; differs {
			k.Architecture = m.Type.Architecture
		}
		kinds = append(kinds, k)
	}
	for _, name := range in.UnknownTypes {
		kinds = append(kinds, Kind{InstanceType: name})
	}
	if _, one := t.Labels[corev1.LabelInstanceTypeStable]; !one && len(kinds) > 1 {
		t.Kinds, t.Among = kinds, nodemeta.Among(kinds)
	}
}

// addTypeLabels sets the labels of image and instance types. With several types, the first stands for all.
func (t *Template) addTypeLabels(in *Input) {
	t.promise(corev1.LabelOSStable, in.os(), Source{Kind: SourceDefault, Detail: "operating system of the image"})
	if build, source := in.windowsBuild(); build != "" {
		t.promise(corev1.LabelWindowsBuild, build, source)
	}
	if len(in.Members) == 0 {
		return
	}
	first := in.Members[0].Type
	source := Source{Kind: SourceCatalogue, Detail: first.Name}
	same := func(equal func(Member) bool) func(key, value string, source Source) {
		if slices.ContainsFunc(in.Members, func(m Member) bool { return !equal(m) }) || len(in.UnknownTypes) > 0 {
			return t.assume
		}
		return t.promise
	}
	same(func(m Member) bool { return m.Type.Architecture == first.Architecture })(corev1.LabelArchStable, first.Architecture, source)
	same(func(m Member) bool { return m.Type.Name == first.Name })(corev1.LabelInstanceTypeStable, first.Name, source)
	unlabelled := func(m Member) bool { return !m.LabelsGPUs || m.Type.GPU.Manufacturer != "NVIDIA" }
	if !slices.ContainsFunc(in.Members, unlabelled) && len(in.UnknownTypes) == 0 {
		t.promise("nvidia.com/gpu.present", "true", Source{Kind: SourceGroup, Detail: "set by nodeadm of the image"})
	}
}

// zone returns the zone the template stands for, and whether every node of the group will be in it. Among several it is AWS's first, as in the stock
// provider's template: a pod that fits there wakes the group.
func (in *Input) zone() (name string, promised bool) {
	switch zones := slices.Compact(slices.Clone(in.Zones)); {
	case in.PinnedZone != "":
		return in.PinnedZone, true
	case len(zones) > 0:
		return zones[0], len(zones) == 1
	}
	return "", false
}

// pinZone replaces all zone labels by the pinned zone, and reports who declared another. A declared zone ID never matches the
// zone's name, so whoever declares one gets a problem for each pinned zone.
func (t *Template) pinZone(in *Input) []Problem {
	zone := in.PinnedZone
	if zone == "" {
		return nil
	}
	var problems []Problem
	for _, key := range podzone.Labels {
		value, source := t.Labels[key], t.Sources.Labels[key]
		if source.Declared() && value != zone {
			// It does not name the pinned zone, so that it is the same for each of them.
			p := Problem{Group: in.Group, Subject: string(source.Kind) + " label", Key: key, Value: value, Reason: ReasonPinnedZone,
				Expected: "no zone to be declared, for the group is scaled zone by zone and each node has the zone it is launched in"}
			if source.Kind == SourceTag {
				p.Subject, p.Key = "", labelPrefix+key
			}
			problems = append(problems, p)
		}
		delete(t.Labels, key)
		delete(t.Assumed, key)
		delete(t.Sources.Labels, key)
	}
	t.addZone(in)
	return problems
}

func (t *Template) addZone(in *Input) {
	switch zone, promised := in.zone(); {
	case zone == "":
	case promised:
		t.promise(corev1.LabelTopologyZone, zone, Source{Kind: SourceGroup, Detail: "its only zone"})
	default:
		t.assume(corev1.LabelTopologyZone, zone, Source{Kind: SourceGroup, Detail: "one of its zones"})
	}
}

// addNodegroupLabels sets EKS's labels. Without an answer from EKS, name and capacity type follow from the Auto Scaling group.
func (t *Template) addNodegroupLabels(in *Input, d Declared) {
	name := d.ManagedNodegroup
	capacityType := map[string]string{awsmessage.Spot: "SPOT", awsmessage.OnDemand: "ON_DEMAND"}[in.CapacityType]
	if in.Nodegroup != nil {
		t.promiseAll(in.Nodegroup.Labels, Source{Kind: SourceNodegroup, Detail: "labels"})
		name, capacityType = in.Nodegroup.Name, cmp.Or(in.Nodegroup.CapacityType, capacityType)
	}
	if name == "" {
		return
	}
	t.promise(labelNodegroup, name, Source{Kind: SourceNodegroup, Detail: "name"})
	if capacityType != "" {
		t.promise(labelCapacityType, capacityType, Source{Kind: SourceNodegroup, Detail: "capacity type"})
	}
}

// sure are the sources that a tag should not contradict. An owner may state another zone or operating system on purpose, and a label that nodes show
// may be one of nodes that are gone, or may follow the tag.
var sure = map[SourceKind]string{SourceNodegroup: "EKS node group", SourceUserData: "user data", SourceCatalogue: "instance type"}

func (t *Template) addTagLabels(in *Input, d Declared) (problems []Problem) {
	for _, key := range slices.Sorted(maps.Keys(d.Labels)) {
		value := d.Labels[key]
		by, pinned := sure[t.Sources.Labels[key].Kind], in.PinnedZone != "" && slices.Contains(podzone.Labels, key) // pinZone reports these
		if old, ok := t.Labels[key]; ok && old != value && by != "" && !pinned && cmp.Or(in.Learnt, &Learnt{}).labels[key] != value {
			problems = append(problems, Problem{Group: in.Group, Key: labelPrefix + key, Value: value, Reason: ReasonConflict, Used: true,
				Expected: "the value that the " + by + " gives its nodes, " + quote(old, maxShownValue)})
		}
		t.promise(key, value, Source{Kind: SourceTag, Detail: labelPrefix + key})
	}
	return problems
}
