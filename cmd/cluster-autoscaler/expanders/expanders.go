// Package expanders builds the chain of expanders that chooses which node group grows.
//
// It is the Cluster Autoscaler's own chain, with every expander it knows, and these differences: least-waste is package
// leastwaste, and what stock calls so is least-waste-stock; least-cost is package leastcost; and what the chain leaves open is
// decided by price and then by name instead of at random, so that the same input always gives the same answer. Whoever
// asks for the random expander still gets it. The patterns of the priority expander match zonal views by the name of their
// group as well. Groups whose spot instances EC2 took back a moment ago are passed over, see package calm: least-cost weighs
// them by prices instead, and what the operator prefers by the priority expander comes first.
package expanders

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	ca_context "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/expander/factory"
	"k8s.io/autoscaler/cluster-autoscaler/expander/random"
	"k8s.io/autoscaler/cluster-autoscaler/expander/waste"
	drasnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/dynamicresources/snapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/calm"
	"github.com/asg-autoscaler/asg-autoscaler/expander/leastcost"
	"github.com/asg-autoscaler/asg-autoscaler/expander/leastwaste"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// LeastWasteStock is the core's own least-waste expander.
const LeastWasteStock = "least-waste-stock"

// Names are all that --expander can name, sorted.
var Names = []string{
	expander.GRPCExpanderName, leastcost.Name, expander.LeastNodesExpanderName, expander.LeastWasteExpanderName, LeastWasteStock,
	expander.MostPodsExpanderName, expander.PriceBasedExpanderName, expander.PriorityBasedExpanderName, expander.RandomExpanderName,
}

// The names under which the expanders of our own are registered. The comma keeps them out of reach of --expander.
const (
	notInterrupted = "not-interrupted,"
	byPrice        = "by-price,"
	byName         = "by-name,"
)

// costs tells what the next nodes of a group cost.
type costs interface {
	// NodeCost is what the next count nodes of a node group cost together per hour, and whether that is known. The
	// template is the Node that the group would add.
	NodeCost(nodeGroup string, template *apiv1.Node, count int) (pricing.Amount, bool)
}

// Config is what the expanders need. Only the expanders that are named use their part of it.
type Config struct {
	Names      string // comma-separated, as in --expander
	Provider   cloudprovider.CloudProvider
	Costs      costs             // that break ties, too; nil for none
	LeastCost  *leastcost.Filter // the least-cost expander; nil where there are no prices
	Clients    *ca_context.AutoscalingKubeClients
	KubeClient kubernetes.Interface
	Namespace  string // of the priority expander's config map
	GRPCCert   string // file with the certificate of the gRPC expander's server
	GRPCURL    string
	// Devices gives what pods claim by dynamic resource allocation. It is nil for none.
	Devices func() *drasnapshot.Snapshot
	// GroupName is the name of the group that a node group is a zonal view of; "" or the ID itself for any other. The priority
	// expander's patterns know views by it, too. nil where there are no views.
	GroupName func(nodeGroupID string) string
	// Interrupted reports whether EC2 took back instances where the node group would launch. It is nil where
	// nobody knows.
	Interrupted func(nodeGroup string) bool
	// Event publishes an event that says why an option was chosen; nil for none.
	Event func(eventType, reason, message string)
}

// New builds the chain that config names. It fails where a name is unknown or repeated, stands after an expander that
// always decides, or cannot work with the provider.
func New(config Config) (expander.Strategy, error) {
	names, err := parse(config.Names)
	if err != nil {
		return nil, err
	}
	if slices.Contains(names, expander.PriceBasedExpanderName) {
		if _, err := config.Provider.Pricing(); err != nil {
			return nil, fmt.Errorf("expander %q needs prices: %w", expander.PriceBasedExpanderName, err)
		}
	}
	if config.LeastCost == nil && slices.Contains(names, leastcost.Name) {
		return nil, fmt.Errorf("expander %q needs prices, and there are none", leastcost.Name)
	}
	f := factory.NewFactory()
	f.RegisterDefaultExpanders(config.Provider, config.Clients, config.KubeClient, config.Namespace,
		config.GRPCCert, config.GRPCURL)
	if config.GroupName != nil {
		f.RegisterFilter(expander.PriorityBasedExpanderName, func() expander.Filter {
			return newByEitherName(config.Clients, config.KubeClient, config.Namespace, config.GroupName)
		})
	}
	f.RegisterFilter(expander.LeastWasteExpanderName, func() expander.Filter { return leastwaste.New(config.Devices) })
	f.RegisterFilter(LeastWasteStock, waste.NewFilter)
	f.RegisterFilter(leastcost.Name, func() expander.Filter { return config.LeastCost })
	f.RegisterFilter(byPrice, func() expander.Filter { return cheapest{costs: config.Costs} })
	f.RegisterFilter(byName, func() expander.Filter { return firstByName{} })
	avoids := config.Interrupted != nil && !slices.Contains(names, leastcost.Name)
	prioritised := slices.Index(names, expander.PriorityBasedExpanderName)
	if avoids && prioritised >= 0 {
		f.RegisterFilter(notInterrupted, func() expander.Filter { return calm.Filter{Interrupted: config.Interrupted} })
		names = slices.Insert(names, prioritised+1, notInterrupted)
	}
	if !slices.Contains(names, expander.RandomExpanderName) {
		names = append(names, byPrice, byName)
	}
	strategy, buildErr := f.Build(names)
	if buildErr != nil {
		return nil, errors.New(buildErr.Error())
	}
	if avoids && prioritised < 0 {
		strategy = calmed{calm.Filter{Interrupted: config.Interrupted}, strategy}
	}
	return told{strategy, config.Event}, nil
}

// Check finds what is wrong with --expander without anything that expanders need.
func Check(flag string) error {
	names, err := parse(flag)
	if err != nil {
		return err
	}
	f := factory.NewFactory()
	for _, name := range Names {
		f.RegisterFilter(name, func() expander.Filter { return firstByName{} })
	}
	f.RegisterFilter(expander.RandomExpanderName, random.NewFilter) // the only one that always decides
	if _, err := f.Build(names); err != nil {
		return errors.New(err.Error())
	}
	return nil
}

// parse returns the names of --expander.
func parse(flag string) ([]string, error) {
	names := strings.Split(flag, ",")
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
		if !slices.Contains(Names, names[i]) {
			return nil, fmt.Errorf("expander %q is unknown: use one of %s, or several in the order in which they decide", names[i], strings.Join(Names, ", "))
		}
	}
	return names, nil
}

// calmed leaves out the options of interrupted groups first. In the chain it would end it where one option is left, and nothing would say why.
type calmed struct {
	filter calm.Filter
	expander.Strategy
}

// BestOption returns the strategy's choice.
func (c calmed) BestOption(options []expander.Option, nodeInfos map[string]*framework.NodeInfo) *expander.Option {
	return c.Strategy.BestOption(c.filter.BestOptions(options, nodeInfos), nodeInfos)
}

// told says what was chosen, and why, as far as the chosen option says it of itself.
type told struct {
	expander.Strategy
	event func(eventType, reason, message string) // nil for none
}

// BestOption returns the strategy's choice.
func (t told) BestOption(options []expander.Option, nodeInfos map[string]*framework.NodeInfo) *expander.Option {
	best := t.Strategy.BestOption(options, nodeInfos)
	if best == nil {
		return nil
	}
	why := strings.TrimPrefix(best.Debug, " | ") // the price expander's separator
	klog.Background().V(2).Info("Chose a scale-up option", "nodeGroup", best.NodeGroup.Id(), "nodes", best.NodeCount, "pods", len(best.Pods),
		"options", len(options), "why", why)
	if t.event != nil && why != "" {
		t.event(apiv1.EventTypeNormal, "ScaleUpOptionChosen", fmt.Sprintf("node group %q, of %d options: %s", best.NodeGroup.Id(), len(options), why))
	}
	return best
}

// firstByName keeps the option whose node group comes first by ID.
type firstByName struct{}

// BestOptions returns that option, nil if there is none.
func (firstByName) BestOptions(options []expander.Option, _ map[string]*framework.NodeInfo) []expander.Option {
	if len(options) == 0 {
		return nil
	}
	first := slices.MinFunc(options, func(a, b expander.Option) int {
		return strings.Compare(a.NodeGroup.Id(), b.NodeGroup.Id())
	})
	return []expander.Option{first}
}
