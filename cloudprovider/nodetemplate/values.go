package nodetemplate

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
)

const (
	qualifiedName = "a name of letters, digits, '-', '_' and '.', 63 at most, with or without a DNS prefix and '/'"
	labelValue    = "a value of letters, digits, '-', '_' and '.', 63 at most, or nothing"
	taintForm     = "<value>:<effect>, the effect being NoSchedule, PreferNoSchedule or NoExecute"
)

var TaintEffects = []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute}

// ValidName reports whether Kubernetes allows s as the key of a label or taint. A longer one is not worth the regular expressions.
func ValidName(s string) bool {
	return len(s) <= validation.DNS1123SubdomainMaxLength+1+validation.LabelValueMaxLength && len(validation.IsQualifiedName(s)) == 0
}

func ValidValue(s string) bool {
	return len(s) <= validation.LabelValueMaxLength && len(validation.IsValidLabelValue(s)) == 0
}

func (d *Declared) readLabel(name, value string) *Problem {
	if !ValidName(name) {
		return &Problem{Reason: ReasonLabelKey, Expected: "after label/ " + qualifiedName, Example: labelPrefix + "team=a"}
	}
	if !ValidValue(value) {
		return &Problem{Reason: ReasonLabelValue, Expected: labelValue, Example: labelPrefix + name + "=a"}
	}
	d.Labels[name] = value
	return nil
}

// readTaint splits value at its first colon, as the stock provider does, so a second colon spoils the effect.
func (d *Declared) readTaint(name, value string) *Problem {
	if !ValidName(name) {
		return &Problem{Reason: ReasonTaintKey, Expected: "after taint/ " + qualifiedName, Example: taintPrefix + "dedicated=a:NoSchedule"}
	}
	example := taintPrefix + name + "=true:NoSchedule"
	taintValue, effect, colon := strings.Cut(value, ":")
	taint := corev1.Taint{Key: name, Value: taintValue, Effect: corev1.TaintEffect(effect)}
	switch {
	case !colon:
		return &Problem{Reason: ReasonTaintForm, Expected: taintForm, Example: example}
	case !slices.Contains(TaintEffects, taint.Effect):
		return &Problem{Reason: ReasonTaintEffect, Expected: taintForm, Example: example}
	case !ValidValue(taintValue):
		return &Problem{Reason: ReasonTaintValue, Expected: "before the colon " + labelValue, Example: example}
	}
	d.Taints = append(d.Taints, taint)
	return nil
}

func (d *Declared) readResource(name, value string) *Problem {
	key := corev1.ResourceName(name)
	known := !Extended(key) || strings.Contains(name, "/") || strings.HasPrefix(name, corev1.ResourceHugePagesPrefix) ||
		strings.HasPrefix(name, corev1.ResourceAttachableVolumesPrefix)
	if !known || !ValidName(name) {
		return &Problem{Reason: ReasonResourceName, Example: resourcesPrefix + "ephemeral-storage=100Gi",
			Expected: "after resources/ cpu, memory, pods, ephemeral-storage, hugepages-<size> or <domain>/<name>"}
	}
	q, expected := parseQuantity(key, value)
	if expected != "" {
		example := map[corev1.ResourceName]string{corev1.ResourceCPU: "4", corev1.ResourceMemory: "16Gi", corev1.ResourceEphemeralStorage: "16Gi",
			corev1.ResourcePods: "110"}[key]
		return &Problem{Reason: ReasonResourceQuantity, Expected: expected, Example: resourcesPrefix + name + "=" + cmp.Or(example, "1")}
	}
	d.Resources[key] = q
	return nil
}

// quantityForm bounds a quantity before it is parsed: the exponent has at most two digits. Kubernetes' own parser accepts
// 1e2000000000, and the first comparison of that number would fill the memory of the machine.
var quantityForm = regexp.MustCompile(`^[+]?[0-9.]{1,32}([eE][+-]?[0-9]{1,2}|[A-Za-z]{0,2})$`)

// maxQuantity is far above any machine, and far below the overflow of quantities.
var maxQuantity = resource.MustParse("1Ei")

// ParseQuantity reads an amount that a node can have: a Kubernetes quantity of 0 to 1Ei. It is safe on text from anybody. For
// another text, expected describes a valid value in words.
func ParseQuantity(s string) (q resource.Quantity, expected string) {
	const form = "a Kubernetes quantity, not negative"
	if !quantityForm.MatchString(s) {
		return q, form
	}
	q, err := resource.ParseQuantity(s)
	switch {
	case err != nil:
		return q, form
	case q.Cmp(maxQuantity) > 0:
		return q, "a quantity no larger than 1Ei"
	}
	return q, ""
}

// parseQuantity reads the value of a resources tag. If a node cannot have it, expected describes a valid value.
func parseQuantity(name corev1.ResourceName, value string) (q resource.Quantity, expected string) {
	q, expected = ParseQuantity(value)
	switch {
	case expected != "":
		return q, expected
	case q.IsZero() && (name == corev1.ResourceCPU || name == corev1.ResourceMemory || name == corev1.ResourcePods):
		return q, "a quantity above zero"
	case !q.IsZero() && q.CmpInt64(mib) < 0 && (name == corev1.ResourceMemory || name == corev1.ResourceEphemeralStorage):
		return q, "a quantity with its unit, such as 16Gi"
	case strings.Contains(string(name), "/") && q.Cmp(*resource.NewQuantity(q.Value(), q.Format)) != 0:
		return q, "a whole number, as device plugins count in"
	}
	return q, ""
}
