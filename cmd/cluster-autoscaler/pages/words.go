package pages

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// The longest texts shown, in characters. AWS and Kubernetes allow names of up to 255.
const (
	longestName    = 255
	longestMessage = 1000
)

// functions are what page.html can ask for. Each returns one value.
var functions = map[string]any{
	"not":        func(v any) bool { return !truth(v) },
	"len":        func(list any) int { return reflect.ValueOf(list).Len() },
	"one":        func(n int) bool { return n == 1 },
	"is":         func(c decision.Code, other string) bool { return string(c) == other },
	"size":       func(l interface{ Count() int }) int { return l.Count() },
	"title":      (*view).Title,
	"then":       (*view).Then,
	"words":      func(c interface{ Words(string) string }, currency string) string { return c.Words(currency) },
	"what":       decision.Comparison.What,
	"saving":     (*decision.Consolidation).Saving,
	"clock":      func(t time.Time) string { return t.UTC().Format("15:04:05") },
	"name":       func(s any) string { return bounded(fmt.Sprint(s), longestName) }, // of any type of string
	"message":    func(s string) string { return bounded(s, longestMessage) },
	"remedy":     remedy,
	"stamp":      stamp,
	"age":        age,
	"count":      count,
	"took":       took,
	"perMonth":   func(n *decision.Node) string { return count(int64(math.Round(n.PerMonth()))) },
	"amount":     amount,
	"list":       func(names []string) string { return bounded(strings.Join(names, ", "), longestName) },
	"noun":       noun,
	"nodeLevel":  func(s decision.NodeState) level { return cmp.Or(nodeLevels[s], calm) },
	"entryLevel": func(k decision.EntryKind) level { return entryKinds[k].level },
	"entryWord":  func(k decision.EntryKind) string { return entryKinds[k].word },
	"percent":    percent,
}

// bounded returns the text with at most limit characters. It shows control characters and characters that change the direction of writing by a
// replacement, so that a name cannot disguise the text around it.
func bounded(s string, limit int) string {
	if runes := []rune(s); len(runes) > limit {
		s = string(runes[:limit]) + "…"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return ' '
		case unicode.In(r, unicode.C, unicode.Zl, unicode.Zp):
			return utf8.RuneError
		}
		return r
	}, s)
}

type step struct {
	Text    string
	Command bool // it can be pasted into a shell
}

// command finds the programs whose command lines appear in remedies.
var command = regexp.MustCompile(`(?:^|: | or )((?:aws|kubectl|asgctl|helm|eksctl) )`)

// remedy splits a remedy into text and commands: a line that begins with a program, or the rest of a line behind a colon or "or".
func remedy(s string) (steps []step) {
	for line := range strings.Lines(s) {
		line = strings.TrimSpace(line)
		at := len(line)
		if found := command.FindStringSubmatchIndex(line); found != nil {
			at = found[2]
		}
		for _, part := range []step{{line[:at], false}, {line[at:], true}} {
			if part.Text = bounded(strings.TrimSpace(part.Text), longestMessage); part.Text != "" {
				steps = append(steps, part)
			}
		}
	}
	return steps
}

// stamp is a moment for machines, empty for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// age is the element of a moment. The script turns the time in UTC into the time that has passed, so that a section changes with
// its facts alone.
func age(t time.Time) markup {
	return markup(`<time class="age" datetime="` + stamp(t) + `">` + t.UTC().Format("2 Jan 15:04:05") + `</time>`)
}

func took(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	default:
		return decision.Span(d.Round(time.Second))
	}
}

// count is an integer with its thousands apart.
func count(n any) string {
	digits := fmt.Sprint(n)
	for at := len(digits) - 3; at > 0 && digits[at-1] != '-'; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// percent is a share, "-" where it is not known.
func percent(ratio float64) string {
	if ratio < 0 {
		return "-"
	}
	return strconv.Itoa(int(ratio*100+0.5)) + " %"
}

func amount(value float64) string {
	whole, fraction, _ := strings.Cut(strconv.FormatFloat(value, 'f', 2, 64), ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return "?" // no number, or one that no bill has
	}
	return count(n) + "." + fraction
}

// noun is a number with its noun, whose plural has an s.
func noun(n int, word string) string {
	if n != 1 {
		word += "s"
	}
	return count(n) + " " + word
}
