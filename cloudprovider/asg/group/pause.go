package group

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// TagPaused has a group left alone: true, scale-up or scale-down, or false, maybe with an end: "scale-up until=2026-12-01T06:00Z".
const TagPaused = "asg-autoscaler.github.io/paused"

// Pause says what is left alone. The zero value is nothing.
type Pause struct {
	Up, Down  bool                 // the group grows no more, and loses no node that is not needed
	Until     time.Time            // zero without an end
	Malformed bool                 // the tag cannot be read, and its group is left alone altogether
	Operation launchspec.Operation // AWS's, zero where the tag alone is the reason
}

func ReadPause(tags map[string]string) Pause {
	value, tagged := tags[TagPaused]
	word, until, ends := strings.Cut(strings.TrimSpace(value), " until=")
	word = strings.TrimSpace(word)
	p, err := Pause{Up: word == "true" || word == "scale-up", Down: word == "true" || word == "scale-down"}, error(nil)
	if ends {
		if p.Until, err = time.Parse("2006-01-02T15:04Z07:00", until); err != nil {
			p.Until, err = time.Parse(time.RFC3339, until)
		}
		p.Until = p.Until.UTC()
	}
	if tagged && (err != nil || !p.Up && !p.Down && word != "false") {
		return Pause{Up: true, Down: true, Malformed: true}
	}
	return p
}

// At returns the pause that is left at a moment.
func (p Pause) At(now time.Time) Pause {
	if !p.Until.IsZero() && !now.Before(p.Until) {
		return Pause{}
	}
	return p
}

// LeftAlone returns why the group loses no node at a moment, or, unless down, why it grows no more. It is zero where nothing keeps it. The reason is
// the tag, or that AWS itself works on the instances, terminates none or denies it. The group loses no node then, because AWS replaces instances or
// would keep a drained one, and it still grows unless the new instance would go soon.
func (g *Group) LeftAlone(now time.Time, down bool) Pause {
	tag, o := g.Pause.At(now), g.Operation
	if o.Text == "" { // a replacement that only bakes has none
		o = g.Denied.At(now).Operation
	}
	if o.Text == "" && g.Suspended(ProcessTerminate) {
		o = launchspec.Operation{Text: "its process Terminate is suspended", Remedy: shellword.ResumeProcess(g.Name, ProcessTerminate)}
	}
	switch {
	case o.Text != "" && (down && !tag.Down || o.Ends && !(tag.Up && tag.Down)):
		return Pause{Up: o.Ends, Down: true, Operation: o}
	case down && tag.Down, !down && tag.Up:
		return tag
	}
	return Pause{}
}

// Replacing reports whether AWS may be replacing instances of the group, by a reading and the group as it was before, nil for none:
// instances left without us or get another root volume, one came whose origin none had, or somebody changed the launch source or the
// maximum size. A first reading shows it by instances that leave, get another root volume, or differ in their origin from each other or are newer
// than what the group states.
func Replacing(before, g *Group) bool {
	if before == nil {
		return slices.ContainsFunc(g.Instances, func(i Instance) bool {
			return i.Lifecycle.Leaving() || i.Lifecycle.ReplacesRootVolume() || i.Origin != g.Instances[0].Origin ||
				g.Source.Precedes(i.Origin)
		})
	}
	origins := map[string]bool{"": true} // AWS's answer to a launch names none
	for _, i := range before.Instances {
		origins[i.Origin] = true
	}
	after := make(map[string]*Instance, len(g.Instances)) // a group may have 10,000
	for at := range g.Instances {
		after[g.Instances[at].ID] = &g.Instances[at]
	}
	return before.AWSMax != g.AWSMax || !before.LaunchGroup().SameSource(g.LaunchGroup()) ||
		len(origins) > 1 && slices.ContainsFunc(g.Instances, func(i Instance) bool { return !origins[i.Origin] }) ||
		slices.ContainsFunc(before.Instances, func(i Instance) bool {
			now := after[i.ID]
			return i.Lifecycle.Counts() && (now == nil || now.Lifecycle.Leaving()) ||
				now != nil && now.Lifecycle.ReplacesRootVolume() && !i.Lifecycle.ReplacesRootVolume()
		})
}

// Why says why a group is left alone, to stand behind "is paused", and how that ends.
func (p Pause) Why(group string) (cause, remedy string) {
	end := shellword.DeleteTag(group, TagPaused)
	switch {
	case p.Operation.Text != "":
		return ", because " + p.Operation.Text, p.Operation.Remedy
	case p.Malformed:
		return ", because its tag " + TagPaused + " is neither true nor scale-up nor scale-down, or its end cannot be read", "correct the tag, or delete it: " + end
	}
	return " by its tag " + TagPaused, "to end that: " + end
}

func (g *Group) PauseProblem() []launchspec.Problem {
	if !g.Pause.Malformed {
		return nil
	}
	cause, remedy := g.Pause.Why(g.Name)
	return []launchspec.Problem{{Reason: "invalid-paused-tag", Blocks: true, Remedy: remedy,
		Message: fmt.Sprintf("it is paused%s: it is %q, and an example is %q", cause, g.Tags[TagPaused], "scale-up until=2026-12-01T06:00Z")}}
}
