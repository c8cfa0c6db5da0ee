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
}

// step narrows the options. Expanders of --expander say why in the option that they choose.
type step struct {
	name   string
	filter coreexpander.Filter
	flag   bool // named by --expander
}

// BestOption returns the option that the steps agree on, nil for none. The log and an event say why it was chosen.
func (c *Chain) BestOption(options []coreexpander.Option, nodeInfos map[string]*framework.NodeInfo) *coreexpander.Option {
	best := c.best(options, nodeInfos)
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

// best takes the steps until one option is left. An expander of --expander judges even a single option, because nothing
// else says why it was chosen.
func (c *Chain) best(options []coreexpander.Option, nodeInfos map[string]*framework.NodeInfo) *coreexpander.Option {
	judged := false
	for _, s := range c.steps {
		options = s.filter.BestOptions(options, nodeInfos)
		judged = judged || s.flag
		if judged && len(options) == 1 {
			return &options[0]
		}
	}
	return nil // the last step leaves one option of any
}
