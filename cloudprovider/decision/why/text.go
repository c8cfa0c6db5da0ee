package why

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// Bounds of text from outside, and of the lists in a message.
const (
	maxName    = 128 // bytes of a name, a label or a taint in a sentence
	maxGroup   = 255 // bytes of a name in a command, as long as an Auto Scaling group's may be
	maxText    = 200 // bytes of a sentence of AWS or the core
	maxMessage = 900 // bytes of a cause, because an event holds 1,024
	maxNamed   = 3   // objects that a list names
	maxLabels  = 5   // labels that a list names
)

// clean is text from outside in one line, without control characters and other characters that cannot be seen.
func clean(s string, limit int) string {
	unseen := func(r rune) bool { return r == ' ' || r == unicode.ReplacementChar || !unicode.IsGraphic(r) }
	if strings.ContainsFunc(s, unseen) {
		s = strings.Join(strings.FieldsFunc(s, unseen), " ")
	}
	return awsmessage.Clip(s, limit)
}

func quote(name string) string { return strconv.Quote(clean(name, maxName)) }

func shell(s string) string { return shellword.Quote(clean(s, maxGroup)) }

// Named is a list of quoted names behind their kind, such as `groups "a" and "b"`, or their number where there are many.
func Named(kind string, names []string) string {
	switch {
	case len(names) == 1:
		return kind + " " + quote(names[0])
	case len(names) > maxNamed:
		return fmt.Sprintf("%d %ss", len(names), kind)
	}
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = quote(name)
	}
	return kind + "s " + enumerate(quoted)
}

func enumerate(parts []string) string {
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	last := len(parts) - 1
	return strings.Join(parts[:last], ", ") + " and " + parts[last]
}

// Count is a number with its noun, whose plural has an s.
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// kindOf is the resource in a sentence, such as "GPUs (nvidia.com/gpu)".
func kindOf(name corev1.ResourceName) string {
	text := clean(string(name), maxName)
	if strings.HasSuffix(text, "/gpu") {
		return "GPUs (" + text + ")"
	}
	return cmp.Or(map[corev1.ResourceName]string{corev1.ResourceCPU: "CPUs", corev1.ResourceEphemeralStorage: "ephemeral storage"}[name], text)
}

// amount is a quantity of a resource in a sentence, such as "8 GPUs (nvidia.com/gpu)" or "6.8 GiB of memory".
func amount(name corev1.ResourceName, q resource.Quantity) string {
	number, kind := figure(name, q), kindOf(name)
	switch {
	case inBytes(name):
		return number + " of " + kind
	case number == "1" && (name == corev1.ResourceCPU || strings.HasSuffix(string(name), "/gpu")):
		return number + " " + strings.Replace(kind, "s", "", 1)
	}
	return number + " " + kind
}

func inBytes(name corev1.ResourceName) bool {
	return name == corev1.ResourceMemory || name == corev1.ResourceEphemeralStorage || strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
}

// figure is the number of a quantity, in bytes with a unit.
func figure(name corev1.ResourceName, q resource.Quantity) string {
	if !inBytes(name) {
		return strconv.FormatFloat(float64(q.MilliValue())/1000, 'f', -1, 64)
	}
	v := float64(q.Value())
	for _, unit := range []struct {
		size float64
		name string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if math.Abs(v) >= unit.size {
			return strconv.FormatFloat(math.Round(v/unit.size*100)/100, 'f', -1, 64) + " " + unit.name
		}
	}
	return strconv.FormatFloat(v, 'f', -1, 64) + " bytes"
}

// Clock is a moment in a sentence.
func Clock(t time.Time) string { return t.UTC().Format("15:04:05 UTC") }

// Moment is one that may be on another day.
func Moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func tagCommand(group, key, value string) string {
	return shellword.SetTags(clean(group, maxGroup), shellword.Tag{Key: clean(key, maxText), Value: clean(value, maxText)})
}

func autoScaling(g *decision.Group) string { return cmp.Or(g.AutoScaling, g.Name) }
