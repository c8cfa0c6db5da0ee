package pages

import (
	"cmp"
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

type group struct {
	*decision.Group
	Bar      bar
	Level    level
	Word     string
	Remedy   string
	CoolDown list[decision.CoolDown]
	Problem  list[decision.Reason]
	Limit    list[string] // by the clock
}

func groupLevel(g *decision.Group) level {
	switch {
	case g.State == decision.GroupDegraded:
		return bad
	case g.State == decision.GroupCoolDown, len(g.CoolDowns) > 0, len(g.Problems) > 0:
		return warning
	default:
		return calm
	}
}

// groupRank orders groups: those that need attention, then full ones, those in motion, those with nodes, and the others.
func groupRank(g *decision.Group) int {
	switch l := groupLevel(g); {
	case l == bad:
		return 0
	case l == warning:
		return 1
	case g.Starting > 0 || g.Desired != g.Ready:
		return 2
	case g.State == decision.GroupFull:
		return 3
	case g.Desired > 0:
		return 4
	default:
		return 5
	}
}

func newGroups(all []decision.Group, causes []cause) list[group] {
	sorted := slices.SortedFunc(slices.Values(pointers(all)), func(a, b *decision.Group) int {
		return cmp.Or(cmp.Compare(groupRank(a), groupRank(b)), strings.Compare(a.Name, b.Name))
	})
	shown := first(sorted, mostGroups)
	rows := list[group]{More: shown.More}
	for _, g := range shown.Shown {
		coolDowns, problems := g.Beside()
		row := group{Group: g, Bar: newBar(g), Level: groupLevel(g), Word: string(g.State), Remedy: g.Reason.Remedy,
			CoolDown: first(coolDowns, mostCoolDowns), Problem: first(problems, mostProblems), Limit: first(g.Clock, mostProblems)}
		for _, c := range causes {
			if c.Message == g.Reason.Message { // the size that is enough for all of its pods
				row.Remedy = c.Remedy
			}
		}
		switch {
		case g.State == decision.GroupReady && g.Starting > 0:
			row.Word = "growing"
			if row.Level == calm {
				row.Level = moving
			}
		case g.State == decision.GroupReady && g.Desired == 0:
			row.Word = "at zero"
		}
		rows.Shown = append(rows.Shown, row)
	}
	return rows
}

const barWidth = 100

// bar is a group's size on a scale from 0 to its maximum.
type bar struct {
	Ready, Desired, Min float64 // ends of the parts, 0 to barWidth
}

func newBar(g *decision.Group) bar {
	scale := float64(max(g.Max, g.Desired, g.Ready, 1)) / barWidth
	at := func(n int) float64 { return float64(max(n, 0)) / scale }
	return bar{Ready: at(min(g.Ready, max(g.Desired, 0))), Desired: at(g.Desired), Min: at(g.Min)}
}
