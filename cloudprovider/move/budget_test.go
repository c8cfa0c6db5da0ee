package move

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
)

func TestBudgetsLeaveRoom(t *testing.T) {
	for _, tt := range []struct {
		name   string
		texts  []string
		nodes  int
		moving map[string]int
		want   int // for rotation
	}{
		{name: "a tenth by default", nodes: 40, want: 4},
		{name: "rounded up", nodes: 41, want: 5},
		{name: "at least one", nodes: 1, want: 1},
		{name: "all reasons count together", nodes: 40, moving: map[string]int{"": 3, Repair: 2, Rotation: 1}, want: 1},
		{name: "none beyond the budget", nodes: 40, moving: map[string]int{"": 9, Repair: 9}},
		{name: "a number", texts: []string{"3"}, nodes: 40, want: 3},
		{name: "all nodes", texts: []string{"100%"}, nodes: 40, want: 40},
		{name: "never more than there are", texts: []string{"90"}, nodes: 4, want: 4},
		{name: "0 freezes", texts: []string{"0"}, nodes: 40},
		{name: "and so does 0%", texts: []string{"0%"}, nodes: 40},
		{name: "the reason's own", texts: []string{"rotation:1"}, nodes: 40, want: 1},
		{name: "the reason's own, used up", texts: []string{"rotation:1"}, nodes: 40, moving: map[string]int{"": 1, Rotation: 1}},
		{name: "the reason's own does not widen the default", texts: []string{"rotation:50%"}, nodes: 40, want: 4},
		{name: "another reason's", texts: []string{"repair:0"}, nodes: 40, moving: map[string]int{"": 1, Repair: 1}, want: 3},
		{name: "all of them hold", texts: []string{"50%", "10", "rotation:25%"}, nodes: 40, moving: map[string]int{"": 5, Repair: 5}, want: 5},
		{name: "as one text of a tag", texts: []string{" 50% 10,rotation:25% "}, nodes: 40, moving: map[string]int{"": 5, Repair: 5}, want: 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := ParseBudgets(tt.texts)
			require.NoError(t, err)
			assert.Equal(t, tt.want, b.Left(Rotation, tt.nodes, tt.moving), "nodes may begin to move")
		})
	}
}

func TestWrongBudgetNamesRemedy(t *testing.T) {
	for text, want := range map[string]string{
		"ten":      `"ten" is no budget: use a number of nodes such as 5, a part of them such as 10%`,
		"-1":       "use a number",
		"1.5%":     "use a number",
		"drift:1":  `"drift:1": there is no reason "drift": use one of repair, schedule, rotation, consolidation, or none for all`,
		"101%":     `"101%" is more than all nodes: use 100% at most`,
		"5 repair": `"repair" is no budget`,
	} {
		_, err := ParseBudgets([]string{text})
		assert.ErrorContainsf(t, err, want, "%q", text)
	}
}

func TestGroupHasBudgetsOfItsOwn(t *testing.T) {
	for _, tt := range []struct {
		name, tag string
		policy    group.Maintenance
		want      int // of 25 nodes
	}{
		{name: "a tenth by default", want: 3},
		{name: "its tag's", tag: "40%", want: 10},
		{name: "frozen by its tag", tag: "0"},
		{name: "frozen by a tag that cannot be read", tag: "many"},
		{name: "the surge of its policy, rounded down", tag: "100%", policy: group.Maintenance{MinHealthyPercent: 50, MaxHealthyPercent: 110}, want: 2},
		{name: "what its policy ends first", tag: "100%", policy: group.Maintenance{MinHealthyPercent: 90, MaxHealthyPercent: 100}, want: 2},
		{name: "a policy without room", tag: "100%", policy: group.Maintenance{MinHealthyPercent: 100, MaxHealthyPercent: 100}, want: 1},
		{name: "a policy that is wider", tag: "2", policy: group.Maintenance{MinHealthyPercent: 100, MaxHealthyPercent: 200}, want: 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := &group.Group{Name: "g", Maintenance: tt.policy, Tags: map[string]string{}}
			if tt.tag != "" {
				g.Tags[TagBudget] = tt.tag
			}
			assert.Equal(t, tt.want, GroupBudgets(g).Left(Repair, 25, nil), "nodes may begin to move")
		})
	}
}

func TestTagsThatCannotBeReadAreProblems(t *testing.T) {
	assert.Empty(t, Problems(&group.Group{Name: "g", Tags: map[string]string{TagBudget: "1", TagRotateAge: "720h"}}), "problems of sound tags")
	found := Problems(&group.Group{Name: "g", Tags: map[string]string{TagBudget: "many", TagRotateAge: "30d"}})
	for at, want := range []string{`its tag asg-autoscaler.github.io/move-budget cannot be read, so none of its nodes moves: "many" is no budget`,
		`its tag asg-autoscaler.github.io/rotate-age cannot be read, so none of its nodes is replaced for its age: "30d" is no age: use a duration such as 720h`} {
		assert.Truef(t, len(found) == 2 && strings.Contains(found[at].Message, want) && strings.Contains(found[at].Remedy, "delete-tags"),
			"problems %+v, want %q and how to delete the tag", found, want)
	}
}
