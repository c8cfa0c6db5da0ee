package nodetemplate

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// dropMembersOfOtherImages leaves out the instance types that the group's image does not run on, for EC2 refuses to launch them. If the
// image runs on none of them, they all stay: then the facts of the image are more likely wrong than the group.
func (in *Input) dropMembersOfOtherImages() []Problem {
	var fit []Member
	var others []string
	architecture, lists := "", ""
	for _, m := range in.Members {
		switch {
		case m.ImageArchitecture != "" && m.ImageArchitecture != m.Type.Architecture:
			others, architecture = append(others, m.Type.Name), " of the image's architecture, "+m.ImageArchitecture+","
		case m.ImageForbids:
			others, lists = append(others, m.Type.Name), " that the image's InstanceTypeSpecification allows,"
		default:
			fit = append(fit, m)
		}
	}
	if len(others) == 0 {
		return nil
	}
	if len(fit) > 0 {
		in.Members = fit
	}
	return []Problem{{Group: in.Group, Subject: "instance types", Value: someOf(others), Reason: ReasonImageMismatch, Used: len(fit) == 0,
		Expected: "types" + architecture + lists + " or an override with a launch template and image of its own"}}
}

// maxSpread bounds the CPU or memory of the largest type as a multiple of the smallest type's. Beyond it, more than half of
// each large node is capacity that nobody counted on, and the owner gets a Problem.
const maxSpread = 2

// spreadProblems reports types of the group that differ so much, by CPU or else by memory, that money is lost, or that pods which fit only
// some of them do not get a node. Tags are the owner's own choice.
func (in *Input) spreadProblems(d Declared) []Problem {
	if len(in.Members) == 0 {
		return nil
	}
	for _, r := range []struct {
		name string
		of   func(instancetypes.Type) int64
		show func(instancetypes.Type) string
	}{
		{"cpu", func(t instancetypes.Type) int64 { return int64(t.VCPU) }, func(t instancetypes.Type) string { return fmt.Sprintf("%d vCPU", t.VCPU) }},
		{"memory", func(t instancetypes.Type) int64 { return t.MemoryBytes }, func(t instancetypes.Type) string { return fmt.Sprintf("%.4g GiB", float64(t.MemoryBytes)/float64(gib)) }},
	} {
		bySize := func(a, b Member) int {
			return cmp.Or(cmp.Compare(r.of(a.Type), r.of(b.Type)), cmp.Compare(a.Type.Name, b.Type.Name))
		}
		smallest, largest := slices.MinFunc(in.Members, bySize).Type, slices.MaxFunc(in.Members, bySize).Type
		if _, declared := d.Resources[corev1.ResourceName(r.name)]; declared || r.of(largest) <= maxSpread*r.of(smallest) {
			continue
		}
		return []Problem{{Group: in.Group, Subject: "instance types", Reason: ReasonWideSpread, Used: true,
			Value:    fmt.Sprintf("%s (%s) to %s (%s)", smallest.Name, r.show(smallest), largest.Name, r.show(largest)),
			Expected: fmt.Sprintf("types of about one size: only the least %s of all, %s, is counted on, and larger pods get no node here", r.name, r.show(smallest))}}
	}
	return nil
}
