package nodetemplate

import (
	"fmt"
	"slices"
	"strings"
)

// Build joins everything in says about a group into its Template. The Problems with instance types come first, because without these, and
// without tags in their place, the Template is not Usable. Then come the ones with tags, sorted by key (see ParseTags), and other things the
// owner should know. The Template is always complete.
func Build(in Input) (Template, []Problem) {
	declared, problems := ParseTags(in.Group, in.Tags)
	problems = append(problems, in.dropMembersOfOtherImages()...)
	t := Template{Group: in.Group, Options: declared.Options, Sources: Sources{Labels: map[string]Source{}, Taints: map[string]Source{},
		Capacity: map[string]Source{}, Allocatable: map[string]Source{}}}
	for _, m := range in.Members {
		t.InstanceTypes = append(t.InstanceTypes, m.Type.Name)
	}
	t.addTaints(&in, declared)
	problems = slices.Concat(in.memberProblems(), problems, in.spreadProblems(declared), t.addLabels(&in, declared), t.addResources(&in, declared),
		in.refusals())
	return t, problems
}

func (in *Input) memberProblems() (problems []Problem) {
	if len(in.UnknownTypes) > 0 {
		problems = append(problems, Problem{Group: in.Group, Subject: "instance types", Value: someOf(in.UnknownTypes), Reason: ReasonUnknownType,
			Expected: "types that the built-in list, EC2 or --asg-instance-types-file describes"})
	} else if len(in.Members) == 0 {
		problems = append(problems, Problem{Group: in.Group, Reason: ReasonNoType,
			Expected: "an instance type in the launch template, launch configuration or mixed instances policy"})
	}
	other := slices.IndexFunc(in.Members, func(m Member) bool { return m.Type.Architecture != in.Members[0].Type.Architecture })
	if other > 0 {
		a, b := in.Members[0].Type, in.Members[other].Type
		problems = append(problems, Problem{Group: in.Group, Subject: "instance types", Reason: ReasonMixedTypes, Used: true,
			Value:    fmt.Sprintf("%s (%s), %s (%s)", a.Name, a.Architecture, b.Name, b.Architecture),
			Expected: "one architecture in a group, for a pod built for one may get a node of the other"})
	}
	return problems
}

func someOf(names []string) string {
	const shown = 5
	names = slices.Sorted(slices.Values(names))
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}
