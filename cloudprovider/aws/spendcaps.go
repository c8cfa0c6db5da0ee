package aws

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// SpendCapFlag states the caps on the nodes of the cluster and on the nodes with a label. group.TagSpendCap bounds the nodes of one group.
const SpendCapFlag = "asg-max-hourly-cost"

var spendCap = regexp.MustCompile(`^(?:([^=]+=[^=]+):)?([^:]+)$`)

// ParseSpendCaps reads the values of the flag: an amount, or LABEL=VALUE:AMOUNT.
func ParseSpendCaps(texts []string) (caps []decision.SpendCap, _ error) {
	for _, text := range texts {
		if text == "" {
			continue
		}
		if found := spendCap.FindStringSubmatch(text); found != nil {
			if most, ok := group.ParseAmount(found[2]); ok {
				caps = append(caps, decision.SpendCap{Of: cmp.Or(found[1], decision.WholeCluster), PerHour: most})
				continue
			}
		}
		return nil, fmt.Errorf("%q is neither an amount such as 25.50 nor LABEL=VALUE:AMOUNT such as team=ml:25.50", text)
	}
	return caps, nil
}

type capped struct {
	by     []int   // places in the caps
	each   float64 // hourly cost of each further instance, the dearest's
	priced bool    // each is known
}

// count counts the instances of the view, whose costs are known, against the caps. Groups below their minimum share the room in the order of their
// names, so that none is raised by what another one takes.
func (s *Spending) count(flags []decision.SpendCap, v *View) {
	s.caps, s.groups, s.least = slices.Clone(flags), map[string]capped{}, map[string]int{}
	for _, ng := range v.nodeGroups { // the zone groups of a group are neighbours
		g := v.groups[ng.Id()]
		var in capped
		for at, flag := range flags {
			key, value, _ := strings.Cut(flag.Of, "=")
			label, stated := v.templates[ng.Id()].Labels[key]
			if flag.Of == decision.WholeCluster || label == value || !stated && (g.LaunchSpec == nil || g.LaunchSpec.Unread) { // an unread one may have the label
				in.by = append(in.by, at)
			}
		}
		if most, tagged := g.SpendCap(); tagged {
			if last := len(s.caps) - 1; last < 0 || s.caps[last].Group != g.Name {
				s.caps = append(s.caps, decision.SpendCap{Of: g.Name, Group: g.Name, PerHour: most})
			}
			in.by = append(in.by, len(s.caps)-1)
		}
		if len(in.by) == 0 {
			continue
		}
		committed, known := s.pricer.Committed(g, s.present[ng.Id()])
		next, ok := s.pricer.Next(g, max(1, g.MostInstances()-g.TargetInstances())) // a full one may grow again after a failed launch
		in.priced = known && ok
		for _, part := range next.Parts {
			in.each = max(in.each, part.Price.Amount.PerHour)
		}
		for _, at := range in.by {
			s.caps[at].Spent += committed.PerHour
			s.caps[at].About = s.caps[at].About || committed.Estimated
		}
		s.groups[ng.Id()] = in
	}
	room := s.Shared()
	for _, ng := range v.nodeGroups {
		g := v.groups[ng.Id()]
		if size := g.TargetInstances(); size < g.MinInstances() {
			s.least[ng.Id()] = size + room(ng.Id(), g.MinInstances()-size)
		}
	}
}

func (s *Spending) Caps() []decision.SpendCap {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.caps)
}

// Room returns how many of n further instances of a node group all caps leave room for, and the cap that leaves the least, nil without one.
// There is no room for an unknown price. Where the next instances cost differently, each counts as the dearest, so that they are never too many.
func (s *Spending) Room(id string, n int) (room int, by *decision.SpendCap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.room(id, n)
}

func (s *Spending) room(id string, n int) (room int, by *decision.SpendCap) {
	in, left := s.groups[id], math.Inf(1)
	for _, at := range in.by {
		if c := s.caps[at]; c.PerHour-c.Spent < left {
			left, by = c.PerHour-c.Spent, &c
		}
	}
	switch left += 1e-9; { // binary arithmetic errs by less than a billionth
	case by == nil:
		return n, nil
	case !in.priced || left < 0:
		by.Unpriced = !in.priced
		return 0, by
	}
	return int(min(float64(n), left/in.each)), by
}

func (s *Spending) raise(id string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(id, n)
}

// Pretend counts n more nodes of a node group until PretendNone or Refresh, against the spend caps, too. Both are for the core's loop alone.
func (p *Provider) Pretend(id string, n int) {
	p.Pretended[id] += n
	p.Spending().raise(id, n)
}

func (p *Provider) PretendNone() {
	for id, n := range p.Pretended {
		p.Spending().raise(id, -n)
	}
	clear(p.Pretended)
}

// add counts n further instances. The caller holds mu.
func (s *Spending) add(id string, n int) {
	in := s.groups[id]
	for _, at := range in.by {
		s.caps[at].Spent += float64(n) * in.each
	}
}

// Shared returns a function that is Room, less the instances of its earlier calls.
func (s *Spending) Shared() func(id string, n int) int {
	s = &Spending{groups: s.groups, caps: s.Caps()}
	return func(id string, n int) int {
		room, _ := s.room(id, n)
		s.add(id, room)
		return room
	}
}

// WithinCaps returns the size up to which a node group may grow by the spend caps, most if they leave room for that.
func (p *Provider) WithinCaps(g *group.Group, most int) int {
	size := g.TargetInstances() + p.Pretended[g.ID()]
	if most <= size {
		return most
	}
	room, _ := p.Spending().Room(g.ID(), most-size)
	return size + room
}

// Capped returns the spend cap that keeps a node group from another node that its size allows, nil for none.
func (p *Provider) Capped(g *group.Group) *decision.SpendCap {
	caps := p.Spending()
	room, by := caps.Room(g.ID(), 1)
	if room > 0 || g.TargetInstances() >= g.MostInstances() {
		return nil
	}
	if next, _ := p.costs.NodeCost(g.ID(), nil, 1); caps.groups[g.ID()].each > next.PerHour+1e-9 {
		by.Dearest = caps.groups[g.ID()].each
	}
	return by
}

// AtCap reports whether spend caps keep an Auto Scaling group from another instance, in each zone whose size allows one.
func (p *Provider) AtCap(name string) bool {
	view, capped := p.View(), false
	for id, g := range view.groups {
		if g.Name == name && g.TargetInstances() < g.MostInstances() {
			if room, _ := p.Spending().Room(id, 1); room > 0 {
				return false
			}
			capped = true
		}
	}
	return capped
}

// raise has AWS asked for delta more instances, which count against the spend caps from now on. The core has looked at the sizes before, but not
// at raises of other groups under the same cap at the same time, and a pause may have begun. Instances that AWS refuses count until the next view.
func (n *NodeGroup) raise(delta int, ask func() error) error {
	if p := n.provider.Paused(n.group(), false); p.Up {
		return n.pausedError(p)
	}
	caps := n.provider.Spending()
	caps.mu.Lock()
	room, by := caps.room(n.id, delta)
	if room < delta {
		caps.mu.Unlock()
		return fmt.Errorf("node group %q: the spend cap of %v an hour on %s leaves room for %d of %d more instances", n.id, by.PerHour, by.Of, room, delta)
	}
	caps.add(n.id, delta)
	caps.mu.Unlock()
	err := ask()
	n.provider.adopt(n.name)
	if errors.Is(err, asg.ErrNotAtomic) { // the core asks in another way
		caps.raise(n.id, -delta)
	}
	return err
}

func (n *NodeGroup) pausedError(p group.Pause) error {
	cause, _ := p.Why(n.name)
	return fmt.Errorf("node group %q is paused%s", n.id, cause)
}
