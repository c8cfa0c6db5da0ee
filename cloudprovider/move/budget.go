package move

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// TagBudget limits the moves in one group. It has values of --asg-move-budget, with spaces or commas between them.
const TagBudget = "asg-autoscaler.github.io/move-budget"

// defaultPercent of the nodes may move at once where no budget for all reasons is given: of the cluster, and of each group. So a small group is
// not replaced at once while the cluster's budget has room for it.
const defaultPercent = 10

// Budgets limit the nodes that move at once, of the cluster or of one group. All of them hold.
type Budgets []budget

type budget struct {
	reason  string // "" for all together
	most    int    // nodes, or percent of the nodes
	percent bool
	down    bool // percent is rounded down, because somebody else's limit may not be exceeded
}

var budgetText = regexp.MustCompile(`^(?:([a-z]+):)?(\d{1,6})(%?)$`)

// ParseBudgets reads values such as "5", "10%" and "rotation:1". 0 freezes. A percentage is rounded up.
func ParseBudgets(texts []string) (Budgets, error) {
	var b Budgets
	for _, text := range strings.FieldsFunc(strings.Join(texts, " "), func(r rune) bool { return r == ' ' || r == ',' }) {
		found := budgetText.FindStringSubmatch(text)
		if found == nil {
			return nil, fmt.Errorf("%q is no budget: use a number of nodes such as 5, a part of them such as 10%%, or either for one reason, such as %s:1", text, Rotation)
		}
		most, _ := strconv.Atoi(found[2])
		if err := checkReason(found[1]); err != nil {
			return nil, fmt.Errorf("%q: %w", text, err)
		}
		if found[3] != "" && most > 100 {
			return nil, fmt.Errorf("%q is more than all nodes: use 100%% at most", text)
		}
		b = append(b, budget{reason: found[1], most: most, percent: found[3] != ""})
	}
	if !slices.ContainsFunc(b, func(one budget) bool { return one.reason == "" }) {
		b = append(b, budget{most: defaultPercent, percent: true})
	}
	return b, nil
}

// checkReason returns an error for a name that no reason has. The empty one is for all.
func checkReason(name string) error {
	if name != "" && !slices.Contains(reasons, name) {
		return fmt.Errorf("there is no reason %q: use one of %s, or none for all", name, strings.Join(reasons, ", "))
	}
	return nil
}

// GroupBudgets returns the budgets of one group: its tag's, and its instance maintenance policy. A tag that cannot be read freezes the
// group, because a limit that is silently off would be worse.
func GroupBudgets(g *group.Group) Budgets {
	b, err := ParseBudgets([]string{g.Tags[TagBudget]})
	if err != nil {
		return Budgets{{}}
	}
	if p := g.Maintenance; p.MaxHealthyPercent > 0 {
		// AWS may exceed the desired capacity by the policy's surge, or go below it where there is none. A move ends no node before its
		// replacement is Ready, so in both cases the policy is a number of nodes, and at least 1.
		most := p.MaxHealthyPercent - 100
		if most <= 0 {
			most = 100 - p.MinHealthyPercent
		}
		b = append(b, budget{most: max(1, most), percent: true, down: true})
	}
	return b
}

// Left returns how many more nodes may begin to move for the reason, out of that many nodes. moving counts the nodes that move, by reason, and
// all of them under "".
func (b Budgets) Left(reason string, nodes int, moving map[string]int) int {
	left := nodes
	for _, one := range b {
		if one.reason == "" || one.reason == reason {
			left = min(left, one.of(nodes)-moving[one.reason])
		}
	}
	return max(0, left)
}

func (b budget) of(nodes int) int {
	switch {
	case !b.percent || b.most == 0:
		return b.most
	case b.down:
		return max(1, nodes*b.most/100)
	}
	return max(1, (nodes*b.most+99)/100)
}

// Problems returns what is wrong with the tags of a group that are about moves.
func Problems(g *group.Group) (found []launchspec.Problem) {
	add := func(tag, effect string, err error) {
		if err != nil {
			found = append(found, launchspec.Problem{Reason: "invalid-move-tag", Message: fmt.Sprintf("its tag %s cannot be read, so %s: %v", tag, effect, err),
				Remedy: "correct the tag, or delete it: " + shellword.DeleteTag(g.Name, tag)})
		}
	}
	_, err := ParseBudgets([]string{g.Tags[TagBudget]})
	add(TagBudget, "none of its nodes moves", err)
	_, _, err = taggedAge(g)
	add(TagRotateAge, "none of its nodes is replaced for its age", err)
	return found
}
