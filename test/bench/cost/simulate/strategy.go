package simulate

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/expander/price"
	"k8s.io/autoscaler/cluster-autoscaler/expander/waste"
	drasnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/dynamicresources/snapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/expander/leastcost"
	"github.com/asg-autoscaler/asg-autoscaler/expander/leastwaste"
)

// Expanders are the names that Run knows, ours first.
var Expanders = []string{"least-cost", "least-waste", "least-waste-stock", "price", "random"}

// Stock are the expanders that the stock autoscaler has. Its price expander has no prices on AWS and gets ours here.
var Stock = []string{"least-waste-stock", "price", "random"}

// planLimit is far above the binary's default, so that the speed of the machine does not change the result.
const planLimit = time.Minute

// newStrategy makes the expander of that name. Ties of our expanders are decided by price and name, as in our binary. Ties of
// stock's are drawn by lot, as in stock, with a seed.
func newStrategy(name string, c *cloud, devices func() *drasnapshot.Snapshot) (expander.Strategy, error) {
	lots := &lots{rand.New(rand.NewPCG(4, 8))}
	switch name {
	case "least-cost":
		filter := leastcost.New(c, nil, devices, planLimit, clock.RealClock{})
		return &chain{filter, cheapest{c}}, nil
	case "least-waste":
		return &chain{&leastwaste.Filter{}, cheapest{c}}, nil
	case "least-waste-stock":
		return &chain{waste.NewFilter(), lots}, nil
	case "price":
		return &chain{price.NewFilter(c, price.NewSimplePreferredNodeProvider(lister{c}), price.SimpleNodeUnfitness), lots}, nil
	case "random":
		return lots, nil
	}
	return nil, fmt.Errorf("expander %q is none of %s", name, strings.Join(Expanders, ", "))
}

// chain is a filter and a decision among the options that it leaves.
type chain struct {
	filter expander.Filter
	last   expander.Strategy
}

func (c *chain) BestOption(options []expander.Option, infos map[string]*framework.NodeInfo) *expander.Option {
	return c.last.BestOption(c.filter.BestOptions(options, infos), infos)
}

// cheapest decides by the sum of the prices of an option's nodes, then by name.
type cheapest struct{ cloud *cloud }

func (c cheapest) BestOption(options []expander.Option, _ map[string]*framework.NodeInfo) *expander.Option {
	if len(options) == 0 {
		return nil
	}
	cost := func(o expander.Option) float64 {
		return float64(o.NodeCount) * c.cloud.byName[o.NodeGroup.Id()].PerHour
	}
	best := slices.MinFunc(options, func(a, b expander.Option) int {
		return cmp.Or(cmp.Compare(cost(a), cost(b)), strings.Compare(a.NodeGroup.Id(), b.NodeGroup.Id()))
	})
	return &best
}

// lots is stock's random expander with a seed.
type lots struct{ *rand.Rand }

func (l *lots) BestOption(options []expander.Option, _ map[string]*framework.NodeInfo) *expander.Option {
	if len(options) == 0 {
		return nil
	}
	return &options[l.IntN(len(options))]
}

// lister lists the nodes of the cloud, from which the price expander reads the size of the cluster.
type lister struct{ *cloud }

func (l lister) List() ([]*corev1.Node, error) {
	var list []*corev1.Node
	for _, g := range l.groups {
		list = append(list, g.nodes...)
	}
	return list, nil
}

func (l lister) Get(name string) (*corev1.Node, error) {
	return nil, fmt.Errorf("node %q: not asked for here", name)
}
