package asg

import (
	"fmt"
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
)

// CheckClusterName refuses a text that cannot be the name of a cluster. The empty text is fine.
func CheckClusterName(name string) error {
	switch {
	case strings.HasPrefix(name, "arn:"):
		return fmt.Errorf("%q is an ARN: give the name alone", name)
	case strings.ContainsAny(name, " \t\n/"):
		return fmt.Errorf("%q is not the name of a cluster", name)
	}
	return nil
}

// noteStatements enters the statements of the group's launch source, and reports whether they are news. Earlier statements stay while a part of the
// source is unread.
func (e *entry) noteStatements(stated []launchspec.Statement, unread bool) (news bool) {
	for _, s := range e.group.launchStated {
		if unread && !slices.Contains(stated, s) {
			stated = append(stated, s)
		}
	}
	if slices.Equal(stated, e.group.launchStated) && unread == e.group.unread {
		return false
	}
	g := *e.group
	g.launchStated, g.unread = stated, unread
	g.gather()
	e.group = &g
	return true
}

// inheritStatements takes over the statements of an earlier reading of the same launch source.
func (g *Group) inheritStatements(before *Group) {
	g.unread = true
	if before != nil {
		g.launchStated, g.unread = before.launchStated, before.unread || !before.launchGroup().SameSource(g.launchGroup())
	}
	g.gather()
}

// gather joins the statements.
func (g *Group) gather() {
	g.Stated = slices.Concat(launchspec.StatedByTags(g.Tags, ""), g.launchStated)
}

// states returns the one name that the group states, empty for none or several.
func (g *Group) states() string {
	if len(g.Stated) == 0 || g.disagreesWith("") {
		return ""
	}
	return g.Stated[0].Cluster
}

// disagreesWith reports whether the group states another cluster than ours, or two.
func (g *Group) disagreesWith(ours string) bool {
	for _, s := range g.Stated {
		if ours == "" {
			ours = s.Cluster
		}
		if s.Cluster != ours {
			return true
		}
	}
	return false
}
