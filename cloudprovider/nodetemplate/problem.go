package nodetemplate

import (
	"cmp"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// Reason classifies a Problem. The few values never change, so that a metric can use them as labels.
type Reason string

const (
	ReasonUnknownKind      Reason = "unknown-tag-kind"      // node-template/… of an unknown kind
	ReasonMisplacedPrefix  Reason = "misplaced-prefix"      // the node-template prefix not at the key's start
	ReasonLabelKey         Reason = "invalid-label-key"     //
	ReasonLabelValue       Reason = "invalid-label-value"   //
	ReasonTaintKey         Reason = "invalid-taint-key"     //
	ReasonTaintForm        Reason = "invalid-taint-form"    // value and effect not as <value>:<effect>
	ReasonTaintEffect      Reason = "invalid-taint-effect"  // an effect Kubernetes does not know
	ReasonTaintValue       Reason = "invalid-taint-value"   //
	ReasonResourceName     Reason = "invalid-resource-name" //
	ReasonResourceQuantity Reason = "invalid-resource-quantity"
	ReasonUnknownOption    Reason = "unknown-option"
	ReasonOptionValue      Reason = "invalid-option-value"
	ReasonOptionRange      Reason = "option-out-of-range" // used all the same, as the stock autoscaler does
	ReasonConflict         Reason = "conflicting-sources" // a tag and what makes the nodes differ, the tag is used
	ReasonPinnedZone       Reason = "declared-zone"       // in a group that is scaled zone by zone
	ReasonUnknownType      Reason = "unknown-instance-type"
	ReasonNoType           Reason = "no-instance-type"
	ReasonMixedTypes       Reason = "mixed-architectures"
	ReasonImageMismatch    Reason = "image-architecture" // the group's image does not run on these types, or its owner forbids them
	ReasonWideSpread       Reason = "wide-spread"        // the types differ so much that little fits all of them
	ReasonImplausibleNode  Reason = "implausible-node"   // a real node differs from nodes of its type and does not count

	// In user data.
	ReasonUnreadable      Reason = "unreadable-user-data"    // cannot be decoded or parsed, or too large
	ReasonUnresolved      Reason = "unresolved-expression"   // known only on the node: $(…), ${VAR}
	ReasonRestrictedLabel Reason = "restricted-label"        // kubelet may not set it
	ReasonKubeletSetting  Reason = "invalid-kubelet-setting" //
	ReasonConditional     Reason = "conditional-setting"     // differs between branches of a script
)

// Bounds on the part of a key or value that a message repeats. EC2 allows 128 and 256 characters in a tag.
const (
	maxShownKey   = 160
	maxShownValue = 80
)

// Problem is one thing about a group that its owner should put right. It is comparable, so that a caller can find the new ones.
type Problem struct {
	Group    string // Auto Scaling group
	Subject  string // the subject of Key and Value, "" for a tag
	Key      string // tag key or name of a taint, may be empty
	Value    string // as found
	Reason   Reason
	Expected string // the expected value, in words
	Example  string // a correct one to copy, as <key>=<value> for tags, may be empty
	Used     bool   // the value is in force all the same, otherwise it was left out
}

// String returns one sentence for a log line or an event. It bounds the length and quotes text from outside.
func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Auto Scaling group %s: ", quote(p.Group, maxShownKey))
	if p.Reason == ReasonUnknownType {
		fmt.Fprintf(&b, "instance types %s are unknown: expected %s", quote(p.Value, maxShownValue), p.Expected)
		return b.String()
	}
	if p.Key != "" || p.Value != "" {
		b.WriteString(cmp.Or(p.Subject, "tag") + " ")
		if p.Key != "" {
			b.WriteString(quote(p.Key, maxShownKey) + "=")
		}
		b.WriteString(quote(p.Value, maxShownValue))
		if p.Used {
			b.WriteString(" used, but ")
		} else {
			b.WriteString(" ignored" + p.effect() + ": ")
		}
	}
	fmt.Fprintf(&b, "expected %s", p.Expected)
	if p.Example != "" {
		fmt.Fprintf(&b, ", for example %s", quote(strings.TrimPrefix(p.Example, p.Key+"="), maxShownKey+maxShownValue))
	}
	return b.String()
}

func (p Problem) effect() string {
	if p.Subject != "" {
		return ""
	}
	switch p.Reason {
	case ReasonTaintForm, ReasonTaintEffect, ReasonTaintKey, ReasonTaintValue:
		return ", so that nodes count as free of this taint and may be launched for pods that it keeps away"
	case ReasonLabelKey, ReasonLabelValue, ReasonResourceName, ReasonResourceQuantity:
		if _, name, _ := strings.Cut(p.Key, resourcesPrefix); p.Reason == ReasonResourceQuantity && !Extended(corev1.ResourceName(name)) {
			return ", so that the instance type and its disk decide"
		}
		return ", so that no node is launched for pods that ask for it"
	}
	return ""
}

// Remedy returns the next step. An example becomes a command only if it has the owner's own value, under the right key. Somebody who
// knows the nodes corrects any other tag, or deletes it.
func (p Problem) Remedy() string {
	switch p.Reason {
	case ReasonUnknownType:
		return p.describeTypes()
	case ReasonMisplacedPrefix, ReasonUnknownOption:
		if key, value, own := strings.Cut(p.Example, "="); own {
			return "correct the tag: " + shellword.SetTags(p.Group, shellword.Tag{Key: key, Value: value}) + " && " + shellword.DeleteTag(p.Group, p.Key)
		}
	case ReasonTaintForm, ReasonTaintEffect, ReasonTaintValue:
		if p.Subject == "" {
			return "state the taint that the nodes have: its key behind taint/, and as the value " + taintForm
		}
	}
	if p.Subject != "" || p.Key == "" {
		return "look at the facts behind it: asgctl template " + shellword.Quote(p.Group)
	}
	return "correct the tag, or delete it: " + shellword.DeleteTag(p.Group, p.Key)
}

// describeTypes is the next step about types that nothing is known of. The autoscaler asks EC2 for them if it may.
func (p Problem) describeTypes() string {
	names, _, _ := strings.Cut(p.Value, " and ")
	command := "aws ec2 describe-instance-types --output json --instance-types"
	for _, name := range strings.Split(names, ", ") {
		command += " " + shellword.Quote(name)
	}
	return "make a new version of the launch template with a type that exists, and have the group use it: the autoscaler reads it again within 5 minutes. If EC2 knows the name: allow ec2:DescribeInstanceTypes " +
		"to the autoscaler's role and take off --aws-use-static-instance-list, or describe the type in --asg-instance-types-file\nwhether EC2 knows it: " + command
}

func quote(s string, limit int) string {
	if len(s) <= limit {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q…", strings.ToValidUTF8(s[:limit], ""))
}
