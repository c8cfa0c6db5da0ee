package source

import (
	"fmt"
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// recordable are the reasons of problems that recorded answers have where they fall short.
var recordable = []string{launchspec.ReasonNodegroupUnread, launchspec.ReasonLaunchSourceUnread, launchspec.ReasonLaunchSourceMissing}

// Problems returns the problems of a group of the reading, or of one of its zonal views: first AWS's refusals, then its tags
// and types, then the reasons why it is not scaled zone by zone where that is asked for, and tags of its owner that cannot be read.
func (r *Reading) Problems(g *group.Group) []launchspec.Problem {
	problems := []launchspec.Problem{}
	known := r.Template(g).Known()
	for _, p := range g.Problems {
		p.Blocks = p.Blocks || !known && p.Reason != launchspec.ReasonNodegroupUnread
		if r.from != "" && slices.Contains(recordable, p.Reason) && (g.Source.ConfigurationName != "" || !g.Source.Template.IsZero()) {
			p.Remedy = "record it: docs/asgctl.md#offline has the commands"
		}
		problems = append(problems, p)
	}
	if g.Failure != nil {
		problems = append(problems, launchspec.Problem{Reason: g.Failure.Code, Message: "the last launch failed: " + g.Failure.Message})
	}
	for _, p := range r.templateProblems(g) {
		if p.Reason == nodetemplate.ReasonNoType && len(g.Problems) > 0 {
			continue // said above, with the cause
		}
		unknown := p.Reason == nodetemplate.ReasonUnknownType || p.Reason == nodetemplate.ReasonNoType
		problems = append(problems, launchspec.Problem{Reason: string(p.Reason), Message: strings.TrimPrefix(p.String(), fmt.Sprintf("Auto Scaling group %q: ", p.Group)),
			Remedy: p.Remedy(), Blocks: unknown && !known})
	}
	if g.LaunchSpec == nil && len(problems) == 0 {
		problems = append(problems, launchspec.Problem{Reason: launchspec.ReasonLaunchSourceUnread, Message: "the group's instance types are unknown", Blocks: true})
	}
	problems = append(problems, slices.Concat(r.undivided[g.Name], g.TagProblems(), move.Problems(g))...)
	for at := range problems {
		problems[at].Remedy = shellword.InRegion(r.Region(g), problems[at].Remedy)
	}
	return problems
}

// templateProblems returns the problems of the group's template, and further ones of its zonal views.
func (r *Reading) templateProblems(g *group.Group) []nodetemplate.Problem {
	problems := slices.Clone(r.Template(g).Problems)
	for _, view := range r.Views(g) {
		for _, p := range r.Template(view).Problems {
			if !slices.Contains(problems, p) {
				problems = append(problems, p)
			}
		}
	}
	return problems
}
