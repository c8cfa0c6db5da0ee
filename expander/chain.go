package expander

import (
	"fmt"
	"strings"

	apiv1 "k8s.io/api/core/v1"
	coreexpander "k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/klog/v2"
)

// Chain narrows the options of a scale-up to one. It implements the core's expander.Strategy, and the core's loop alone uses it.
type Chain struct {
	steps []step
	event func(eventType, reason, message string) // nil for none
	chose func(Choice)                            // nil for none
}

// Choice is the result of one call of BestOption.
type Choice struct {
	Options []coreexpander.Option // as the core offered them
	Chosen  *coreexpander.Option  // nil for none
	// Words returns the judgements of the expanders about the option of a node group, "" for none. It may be called later, by one
	// goroutine.
	Words func(nodeGroup string) string
}

// explainer is an expander that judges each option.
type explainer interface {
	// Words returns the judgement of an option of the last BestOptions by its node group, "" for none. The function may be called later.
	Words() func(nodeGroup string) string
}

// judgement is what an expander says of the options.
type judgement struct {
	expander string
	words    func(nodeGroup string) string
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

// best takes the steps until one option is left, and adds to the options what the steps say of them. An expander of --expander judges
// even a single option, because nothing else says why it was chosen.
func (c *Chain) best(options []coreexpander.Option, nodeInfos map[string]*framework.NodeInfo) (*coreexpander.Option, func(string) string) {
	judged := false
	var judgements []judgement
	for _, s := range c.steps {
		options = s.filter.BestOptions(options, nodeInfos)
		if e, ok := s.filter.(explainer); ok {
			said := judgement{s.name, e.Words()}
			judgements = append(judgements, said)
			for i := range options {
				options[i].Debug = join(options[i].Debug, said.of(options[i].NodeGroup.Id()))
			}
		}
		judged = judged || s.flag
		if judged && len(options) == 1 {
			return &options[0], joined(judgements)
		}
	}
	return nil, joined(judgements) // the last step leaves one option of any
}

// joined puts the judgements of several expanders about an option behind each other.
func joined(judgements []judgement) func(nodeGroup string) string {
	return func(nodeGroup string) string {
		text := ""
		for _, by := range judgements {
			text = join(text, by.of(nodeGroup))
		}
		return text
	}
}

// of returns the expander's name and what it says of the option of the group, "" for nothing.
func (j judgement) of(nodeGroup string) string {
	if words := j.words(nodeGroup); words != "" {
		return j.expander + ": " + words
	}
	return ""
}

func join(text, more string) string {
	if text == "" || more == "" {
		return text + more
	}
	return text + " | " + more
}
