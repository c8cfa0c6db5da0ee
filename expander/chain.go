package expander

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	coreexpander "k8s.io/autoscaler/cluster-autoscaler/expander"
	corepriority "k8s.io/autoscaler/cluster-autoscaler/expander/priority"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
	"github.com/asg-autoscaler/asg-autoscaler/expander/leastcost"
	"github.com/asg-autoscaler/asg-autoscaler/expander/leastwaste"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// Chain narrows the options of a scale-up to one. It implements the core's expander.Strategy, and the core's loop alone uses it.
type Chain struct {
	steps     []step
	leastCost *leastcost.Filter                       // the one of the steps, nil for none
	priority  *priority                               // the one of the steps, nil for none
	event     func(eventType, reason, message string) // nil for none
	chose     func(Choice)                            // nil for none

	last *coreexpander.Option // chosen, nil for none
}

// Choice is the result of one call of BestOption.
type Choice struct {
	Options []coreexpander.Option // as the core offered them
	Chosen  *coreexpander.Option  // nil for none
	// Words returns the judgements of the expanders about the option of a node group, "" for none. It may be called later, by one
	// goroutine.
	Words func(nodeGroup string) string
}

// explainer has the judgements of its last BestOptions, by node group ID.
type explainer interface {
	Words() map[string]fmt.Stringer
}

// step narrows the options. Expanders of --expander say why in the option that they choose.
type step struct {
	name   string
	filter coreexpander.Filter
	flag   bool // named by --expander
}

// BestOption returns the option that the steps agree on, nil for none. The log and an event say why it was chosen.
func (c *Chain) BestOption(options []coreexpander.Option, nodeInfos map[string]*framework.NodeInfo) *coreexpander.Option {
	best, words := c.best(options, nodeInfos)
	c.last = best
	if c.chose != nil {
		c.chose(Choice{Options: options, Chosen: best, Words: words})
	}
	if best == nil {
		return nil
	}
	why := strings.TrimPrefix(best.Debug, " | ") // the price expander's separator
	klog.Background().V(2).Info("Chose a scale-up option", "nodeGroup", best.NodeGroup.Id(), "nodes", best.NodeCount, "pods", len(best.Pods),
		"options", len(options), "why", why)
	if c.event != nil && why != "" {
		c.event(apiv1.EventTypeNormal, "ScaleUpOptionChosen", fmt.Sprintf("node group %q, of %d options: %s", best.NodeGroup.Id(), len(options), why))
	}
	return best
}

// Balances reports whether another group may grow in the place of the one chosen last. The plan of least-cost leaves out groups that pods
// prefer less. Pods that must share a zone would fit in any before the first of them runs. A group of a lower priority waits until the chosen one
// is full.
func (c *Chain) Balances(chosen, other string) bool {
	lower := c.priority != nil && c.priority.leftOut[other]
	return c.last == nil || chosen != c.last.NodeGroup.Id() ||
		!lower && slices.ContainsFunc(c.last.SimilarNodeGroups, func(ng cloudprovider.NodeGroup) bool { return ng.Id() == other }) &&
			len(leastcost.NearEachOther(c.last.Pods, true)) == 0
}

// Plan returns the plan of which the last choice is a part, see leastcost.Filter. There is none if least-cost was asked neither by name nor
// for what pods prefer.
func (c *Chain) Plan() (chosen, later []plan.Node) {
	if c.leastCost == nil {
		return nil, nil
	}
	return c.leastCost.Plan()
}

// Priorities returns the config map of the priority expander, nil if there is none, or no such expander.
func (c *Chain) Priorities() *apiv1.ConfigMap {
	if c.priority == nil {
		return nil
	}
	found, _ := c.priority.configMaps.Get(corepriority.PriorityConfigMapName)
	return found
}

// best takes the steps until one option is left, and adds to the options what the steps say of them. An expander of --expander judges
// even a single option, because nothing else says why it was chosen.
func (c *Chain) best(options []coreexpander.Option, nodeInfos map[string]*framework.NodeInfo) (*coreexpander.Option, func(string) string) {
	if p := c.priority; p != nil {
		all, _ := p.configMaps.List(labels.Everything()) // none before they are read, because every namespace has some
		missing := len(all) > 0 && c.Priorities() == nil
		if missing && !p.missing && c.event != nil {
			message := fmt.Sprintf("No priorities count: namespace %s has no config map %s", all[0].Namespace, corepriority.PriorityConfigMapName)
			klog.Background().Info(message)
			c.event(apiv1.EventTypeWarning, "PriorityConfigMapMissing", message)
		}
		p.leftOut, p.missing = nil, missing // the steps before it may leave one option
	}
	judged := false
	var judgements []func(nodeGroup string) string
	all := func(nodeGroup string) (text string) {
		for _, said := range judgements {
			text = join(text, said(nodeGroup))
		}
		return text
	}
	for at, s := range c.steps {
		options = s.filter.BestOptions(options, nodeInfos)
		if e, explains := s.filter.(explainer); explains {
			words := e.Words()
			said := func(nodeGroup string) string {
				if words[nodeGroup] == nil {
					return ""
				}
				return s.name + ": " + words[nodeGroup].String()
			}
			judgements = append(judgements, said)
			for i := range options {
				options[i].Debug = join(options[i].Debug, said(options[i].NodeGroup.Id()))
			}
		}
		judged = judged || s.flag
		if judged && len(options) == 1 {
			if slices.ContainsFunc(c.steps[at+1:], func(s step) bool { return s.filter == c.leastCost }) {
				c.leastCost.Forget() // the next nodes of its plan are not those of the choice
			}
			return &options[0], all
		}
	}
	return nil, all // the last step leaves one option of any
}

func join(text, more string) string {
	if text == "" || more == "" {
		return text + more
	}
	return text + " | " + more
}

// notInterrupted prefers node groups whose next instances would not come from a recently interrupted pool. It passes over the other groups
// while it prefers any, unless only groups are left whose accelerators would all lie idle. The next choice is for the pods that are left, in the same
// loop unless --asg-scale-ups-per-loop is 1. A group that alone can help them is kept then, because EC2 may well have capacity for it.
type notInterrupted func(nodeGroup string) bool

func (n notInterrupted) BestOptions(options []coreexpander.Option, nodeInfos map[string]*framework.NodeInfo) []coreexpander.Option {
	var preferred, passed []coreexpander.Option
	for _, o := range options {
		if n(o.NodeGroup.Id()) {
			passed = append(passed, o)
		} else {
			preferred = append(preferred, o)
		}
	}
	suits := func(o coreexpander.Option) bool {
		info := nodeInfos[o.NodeGroup.Id()]
		return info == nil || !leastwaste.LeavesAcceleratorsIdle(o, info)
	}
	if len(passed) == 0 || len(preferred) == 0 || !slices.ContainsFunc(preferred, suits) && slices.ContainsFunc(passed, suits) {
		return options
	}
	for _, o := range passed {
		klog.V(2).InfoS("Passed over a node group where spot instances were interrupted recently", "nodeGroup", o.NodeGroup.Id())
	}
	return preferred
}

// cheapest keeps the options whose nodes together cost the least per hour for each of their pods.
type cheapest struct{ costs leastcost.Prices }

// BestOptions returns the options that share the lowest cost, in the order given. An option of unknown cost is only kept
// where no cost is known.
func (c cheapest) BestOptions(options []coreexpander.Option, nodeInfos map[string]*framework.NodeInfo) []coreexpander.Option {
	var best []coreexpander.Option
	var lowest pricing.Amount
	for _, option := range options {
		cost, known := c.cost(option, nodeInfos)
		if !known {
			continue
		}
		cost.PerHour /= float64(max(1, len(option.Pods)))
		switch order := cost.Compare(lowest); {
		case len(best) == 0 || order < 0:
			best, lowest = []coreexpander.Option{option}, cost
		case order == 0:
			best = append(best, option)
		}
	}
	if len(best) == 0 {
		return options
	}
	if len(best) < len(options) {
		klog.Background().V(2).Info("Narrowed a tie by price", "nodeGroup", best[0].NodeGroup.Id(), "costForAPod", lowest.String(),
			"options", len(options), "left", len(best))
	}
	return best
}

func (c cheapest) cost(option coreexpander.Option, nodeInfos map[string]*framework.NodeInfo) (pricing.Amount, bool) {
	if c.costs == nil {
		return pricing.Amount{}, false
	}
	var template *apiv1.Node
	if info := nodeInfos[option.NodeGroup.Id()]; info != nil {
		template = info.Node()
	}
	return c.costs.NodeCost(option.NodeGroup.Id(), template, option.NodeCount)
}

// firstByName keeps the option whose node group has the lowest rank, of equal ones the smallest, and of these the first by ID. So equal groups,
// such as one for each zone, fill evenly.
type firstByName struct{ rank func(nodeGroup string) int }

func (f firstByName) BestOptions(options []coreexpander.Option, _ map[string]*framework.NodeInfo) []coreexpander.Option {
	if len(options) == 0 {
		return nil
	}
	ranks := map[string]int{}
	for _, o := range options {
		if id := o.NodeGroup.Id(); f.rank != nil {
			ranks[id] = f.rank(id)
		}
	}
	return []coreexpander.Option{slices.MinFunc(options, func(a, b coreexpander.Option) int {
		x, y := a.NodeGroup.Id(), b.NodeGroup.Id()
		sizeOfA, _ := a.NodeGroup.TargetSize()
		sizeOfB, _ := b.NodeGroup.TargetSize()
		return cmp.Or(cmp.Compare(ranks[x], ranks[y]), cmp.Compare(sizeOfA, sizeOfB), strings.Compare(x, y))
	})}
}
