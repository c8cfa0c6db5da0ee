package show

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// Forms in which tags are written.
const (
	AWSCLI    = "aws-cli"
	Eksctl    = "eksctl"
	Terraform = "terraform"
)

// TagForms are all of them.
var TagForms = []string{AWSCLI, Eksctl, Terraform}

// tagTarget is the group the tags are for.
type tagTarget struct {
	Group  string
	Region string            // "" where it is not known
	Tags   map[string]string // that the group has
}

// tagText returns the tags in one of the TagForms, ready to paste. It is empty for any other form.
func tagText(form string, target tagTarget, tags []tag) string {
	switch form {
	case AWSCLI:
		return tagCommand(target.Group, target.Region, tags) + "\n"
	case Eksctl:
		return eksctl(target, tags)
	case Terraform:
		return terraform(target.Group, tags)
	}
	return ""
}

// tagCommand is the AWS CLI's, for a POSIX shell.
func tagCommand(group, region string, tags []tag) string {
	return shellword.InRegion(region, shellword.SetTags(group, tags...))
}

// Tags by which eksctl and EKS recognise a group as a node group.
const (
	eksctlNodegroupTag = "alpha.eksctl.io/nodegroup-name"
	eksNodegroupTag    = "eks:nodegroup-name"
)

// eksctl writes the part of a ClusterConfig. The tags of an unmanaged node group become tags of its Auto Scaling group. Tags of
// a managed one do not: propagateASGTags copies labels and taints there, and the EKS node group's own tags hold resources
// (eksctl user guide, "Auto Scaling", read 2026-11).
func eksctl(target tagTarget, tags []tag) string {
	group := map[string]any{"name": cmp.Or(target.Tags[eksctlNodegroupTag], target.Tags[eksNodegroupTag], target.Group)}
	var b strings.Builder
	list := "nodeGroups"
	if target.Tags[eksNodegroupTag] == "" {
		group["tags"] = tagMap(tags)
	} else {
		list = "managedNodeGroups"
		for _, key := range managed(group, tags) {
			fmt.Fprintf(&b, "# EKS refuses the label %s of a managed node group\n", key)
		}
	}
	text, err := yaml.Marshal(map[string]any{list: []any{group}})
	if err != nil {
		return ""
	}
	b.Write(text)
	return b.String()
}

// refusedDomains are the domains of labels that CreateNodegroup refuses: "Label cannot contain reserved prefixes"
// (eksctl-io/eksctl#4007, read 2026-11).
var refusedDomains = []string{"kubernetes.io", "k8s.io", "eks.amazonaws.com"}

// refusedLabel reports whether EKS refuses the label on a managed node group.
func refusedLabel(key string) bool {
	domain, _, _ := strings.Cut(key, "/")
	return domain != key && slices.ContainsFunc(refusedDomains, func(d string) bool { return strings.HasSuffix(domain, d) })
}

// managed spreads the tags over the fields of a managed node group, and returns the keys of those labels that have no
// place there.
func managed(group map[string]any, tags []tag) (refused []string) {
	labels, resources, taints := map[string]string{}, map[string]string{}, []any{}
	for _, t := range tags {
		if key, ok := strings.CutPrefix(t.Key, labelTag); ok && refusedLabel(key) {
			refused = append(refused, key)
		} else if ok {
			labels[key] = t.Value
		} else if key, ok := strings.CutPrefix(t.Key, taintTag); ok {
			value, effect, _ := strings.Cut(t.Value, ":")
			taints = append(taints, map[string]string{"key": key, "value": value, "effect": effect})
		} else {
			resources[t.Key] = t.Value
		}
	}
	if len(labels) > 0 {
		group["labels"] = labels
	}
	if len(taints) > 0 {
		group["taints"] = taints
	}
	if len(labels)+len(taints) > 0 {
		group["propagateASGTags"] = true
	}
	if len(resources) > 0 {
		group["tags"] = resources
	}
	return refused
}

func tagMap(tags []tag) map[string]string {
	m := map[string]string{}
	for _, t := range tags {
		m[t.Key] = t.Value
	}
	return m
}

// terraform writes one resource for all tags. aws_autoscaling_group_tag leaves the group's other tags alone.
func terraform(group string, tags []tag) string {
	var b strings.Builder
	fmt.Fprintf(&b, "resource \"aws_autoscaling_group_tag\" %q {\n  for_each = {\n", identifier(group)+"_node_template")
	width := 0 // terraform fmt aligns the values
	for _, t := range tags {
		width = max(width, len(hcl(t.Key)))
	}
	for _, t := range tags {
		fmt.Fprintf(&b, "    %-*s = %s\n", width, hcl(t.Key), hcl(t.Value))
	}
	fmt.Fprintf(&b, "  }\n\n  autoscaling_group_name = %s\n\n", hcl(group))
	b.WriteString("  tag {\n    key                 = each.key\n    value               = each.value\n    propagate_at_launch = false\n  }\n}\n")
	return b.String()
}

// hcl quotes a string and doubles the start of templates in it. The escapes are JSON's.
func hcl(s string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(shellword.JSON(s))
}

// identifier turns a name into one that Terraform takes.
func identifier(name string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, name)
	if clean == "" || clean[0] >= '0' && clean[0] <= '9' || clean[0] == '-' {
		return "_" + clean
	}
	return clean
}
