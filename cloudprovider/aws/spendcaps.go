package aws

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/asg-autoscaler/asg-autoscaler/pricing/groupprice"
)

// SpendCapFlag states the caps on the nodes of the cluster and on those with a label, and SpendCapTag the cap on the nodes of its group.
const (
	SpendCapFlag = "asg-max-hourly-cost"
	SpendCapTag  = "asg-autoscaler.github.io/max-hourly-cost"
)

var spendCap = regexp.MustCompile(`^(?:([^=]+=[^=]+):)?(\d{1,12}(?:\.\d+)?)$`)

// ParseSpendCaps reads the values of the flag: an amount, or LABEL=VALUE:AMOUNT.
func ParseSpendCaps(texts []string) ([]decision.SpendCap, error) {
	var caps []decision.SpendCap
	for _, text := range texts {
		found := spendCap.FindStringSubmatch(text)
		if found == nil {
			return nil, fmt.Errorf("%q is neither an amount such as 25.50 nor LABEL=VALUE:AMOUNT such as team=ml:25.50", text)
		}
		most, _ := strconv.ParseFloat(found[2], 64)
		caps = append(caps, decision.SpendCap{Of: cmp.Or(found[1], decision.WholeCluster), PerHour: most})
	}
	return caps, nil
}

// capProblem returns what is wrong with SpendCapTag, or nothing. A group with a cap that cannot be read does not grow.
func capProblem(g *group.Group) []launchspec.Problem {
	text, tagged := g.Tags[SpendCapTag]
	if _, err := ParseSpendCaps([]string{text}); !tagged || err == nil {
		return nil
	}
	return []launchspec.Problem{{Reason: "invalid-spend-cap-tag", Message: fmt.Sprintf("its tag %s is %q, which is no amount such as 25.50, so the group does not grow", SpendCapTag, text),
		Remedy: "correct the tag, or delete it: " + shellword.DeleteTag(g.Name, SpendCapTag)}}
}

// spendCaps count the spend against the caps, once for each view. The costs of a group are kept until it or the prices change.
type spendCaps struct {
	flags []decision.SpendCap

	mu      sync.Mutex // guards what follows
	view    *View      // nil to count anew
	pricer  *groupprice.Pricer
	costs   map[*group.Group]*costs
	further map[string]int // instances that AWS is being asked for and that the view may not show, by node group
	now     *Spend
}

// costs are the hourly costs of a node group: of its instances, present or asked for, and of each further one.
type costs struct {
	committed pricing.Amount
	each      float64 // the dearest's
	priced    bool    // each is known
}

func costsOf(p *groupprice.Pricer, g *group.Group) *costs {
	committed, known := p.Committed(g)
	next, ok := p.Next(g, max(0, g.MostInstances()-g.TargetInstances()))
	c := &costs{committed: committed, priced: known && ok}
	for _, part := range next.Parts {
		c.each = max(c.each, part.Price.Amount.PerHour)
	}
	return c
}

// Spend is what counts against the spend caps. A nil one has no cap.
type Spend struct {
	Caps   []decision.SpendCap // by the flag, then by tags in the order of the groups' names
	groups map[string]capped   // by node group ID
}

type capped struct {
	*costs
	by []int // places in Caps
}

// SpendCaps returns what counts against the spend caps now.
func (p *Provider) SpendCaps() *Spend {
	p.caps.mu.Lock()
	defer p.caps.mu.Unlock()
	return p.countSpend()
}

// countSpend counts the spend anew if anything has changed. The caller holds p.caps.mu.
func (p *Provider) countSpend() *Spend {
	if p.costs == nil {
		return nil
	}
	c, v, pricer := &p.caps, p.View(), p.costs.Pricer()
	if v == c.view && pricer == c.pricer {
		return c.now
	}
	if pricer != c.pricer {
		c.costs = nil
	}
	known := c.costs
	c.view, c.pricer, c.costs, c.now = v, pricer, map[*group.Group]*costs{}, nil
	s := &Spend{Caps: slices.Clone(c.flags), groups: map[string]capped{}}
	for _, ng := range v.nodeGroups { // the zone groups of a group are neighbours
		g := v.groups[ng.Id()]
		in := capped{costs: known[g]}
		for at, flag := range c.flags {
			key, value, _ := strings.Cut(flag.Of, "=")
			if t := v.templates[ng.Id()]; flag.Of == decision.WholeCluster || t == nil || t.Labels[key] == value { // an unknown one may have it
				in.by = append(in.by, at)
			}
		}
		if text, tagged := g.Tags[SpendCapTag]; tagged {
			if last := len(s.Caps) - 1; last < 0 || s.Caps[last].Group != g.Name {
				// A tag that cannot be read allows nothing: a cap that is silently off would be worse.
				read, _ := ParseSpendCaps([]string{text})
				s.Caps = append(s.Caps, decision.SpendCap{Of: g.Name, Group: g.Name, PerHour: append(read, decision.SpendCap{})[0].PerHour})
			}
			in.by = append(in.by, len(s.Caps)-1)
		}
		if len(in.by) == 0 {
			continue
		}
		if in.costs == nil {
			in.costs = costsOf(pricer, g)
		}
		c.costs[g], s.groups[ng.Id()] = in.costs, in
		for _, at := range in.by {
			s.Caps[at].Spent += in.committed.PerHour
			s.Caps[at].About = s.Caps[at].About || in.committed.Estimated
		}
	}
	if len(s.Caps) == 0 {
		return nil
	}
	for id, n := range c.further {
		s.add(s.groups[id], n)
	}
	c.now = s
	return s
}

// Room returns how many of n further instances of a node group all caps leave room for, and the cap that leaves the least, nil without one.
// There is no room for an unknown price. Where the next instances cost differently, each counts as the dearest, so that they are never too many.
func (s *Spend) Room(id string, n int) (room int, by *decision.SpendCap) {
	if s == nil || len(s.groups[id].by) == 0 {
		return n, nil
	}
	in, left := s.groups[id], math.Inf(1)
	for _, at := range in.by {
		if c := s.Caps[at]; c.PerHour-c.Spent < left {
			left, by = c.PerHour-c.Spent, &c
		}
	}
	if left += 1e-9; !in.priced || left < 0 { // binary arithmetic errs by less than a billionth
		by.Unpriced = !in.priced
		return 0, by
	}
	return int(min(float64(n), left/in.each)), by
}

// Shared returns a function that says how many of n further instances of a node group all caps leave room for. The
// instances of its earlier calls count, too.
func (s *Spend) Shared() func(id string, n int) int {
	if s != nil {
		s = &Spend{Caps: slices.Clone(s.Caps), groups: s.groups}
	}
	return func(id string, n int) int {
		room, by := s.Room(id, n)
		if by != nil {
			s.add(s.groups[id], room)
		}
		return room
	}
}

// add counts n further instances.
func (s *Spend) add(in capped, n int) {
	for _, at := range in.by {
		s.Caps[at].Spent += float64(n) * in.each
	}
}

// WithinCaps returns the size up to which a node group may grow by the spend caps, most if they leave room for that.
func (p *Provider) WithinCaps(g *group.Group, most int) int {
	size := g.TargetInstances()
	if most <= size {
		return most
	}
	room, _ := p.SpendCaps().Room(g.ID(), most-size)
	return size + room
}

// Capped returns the spend cap that keeps a node group from another node that its size allows.
func (p *Provider) Capped(g *group.Group) (by decision.SpendCap, capped bool) {
	room, limit := p.SpendCaps().Room(g.ID(), 1)
	if room > 0 || g.TargetInstances() >= g.MostInstances() {
		return by, false
	}
	return *limit, true
}

// raise has AWS asked for delta more instances, which count against the spend caps from now on. The core has looked at the sizes before, but not
// at raises of other groups under the same cap at the same time, and a pause may have begun.
func (n *NodeGroup) raise(delta int, ask func() error) error {
	if p := n.provider.Paused(n.group()); p.Up {
		return n.pausedError(p)
	}
	c := &n.provider.caps
	c.mu.Lock()
	if room, by := n.provider.countSpend().Room(n.id, delta); room < delta {
		c.mu.Unlock()
		return fmt.Errorf("node group %q: the spend cap of %v an hour on %s leaves room for %d of %d more instances", n.id, by.PerHour, by.Of, room, delta)
	}
	c.further[n.id], c.view = c.further[n.id]+delta, nil
	c.mu.Unlock()
	err := ask()
	c.mu.Lock()
	defer c.mu.Unlock()
	n.provider.adopt(n.name)
	c.further[n.id], c.view = c.further[n.id]-delta, nil
	return err
}

func (n *NodeGroup) pausedError(p group.Pause) error {
	cause, _ := p.Why(n.name)
	return fmt.Errorf("node group %q is paused%s", n.id, cause)
}
