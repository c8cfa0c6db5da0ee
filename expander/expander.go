package expander

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	coreexpander "k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/expander/grpcplugin"
	"k8s.io/autoscaler/cluster-autoscaler/expander/leastnodes"
	"k8s.io/autoscaler/cluster-autoscaler/expander/mostpods"
	"k8s.io/autoscaler/cluster-autoscaler/expander/random"
	"k8s.io/autoscaler/cluster-autoscaler/expander/waste"
	"k8s.io/client-go/kubernetes"

	"github.com/asg-autoscaler/asg-autoscaler/expander/leastcost"
	"github.com/asg-autoscaler/asg-autoscaler/expander/leastwaste"
)

// Names are all names that --expander accepts, sorted.
var Names = slices.Sorted(maps.Keys(Config{}.filters()))

// Parse fails where a name is unknown, repeated, or comes after an expander that always decides.
func Parse(flag string) ([]string, error) {
	names := strings.Split(flag, ",")
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
		switch {
		case !slices.Contains(Names, names[i]):
			return nil, fmt.Errorf("expander %q is unknown: use one of %s, or several in the order in which they decide", names[i], strings.Join(Names, ", "))
		case slices.Contains(names[:i], names[i]):
			return nil, fmt.Errorf("expander %q was specified multiple times", names[i])
		case i > 0 && names[i-1] == coreexpander.RandomExpanderName:
			return nil, fmt.Errorf("expander %q came after %q, which always decides", names[i], names[i-1])
		}
	}
	return names, nil
}

// Config holds the parts that expanders use. Each part is needed only where its expander is named.
type Config struct {
	Provider   cloudprovider.CloudProvider
	Costs      leastcost.Prices  // break ties, nil for none
	LeastCost  *leastcost.Filter // the least-cost expander, which also follows preferences behind others, nil for none
	Clients    *cacontext.AutoscalingKubeClients
	KubeClient kubernetes.Interface
	Namespace  string // of the priority expander's config map
	GRPCCert   string // file with the certificate of the gRPC expander's server
	GRPCURL    string
	// GroupName is the name of the Auto Scaling group behind a zone group, and "" or the ID itself for any other node group.
	GroupName func(nodeGroupID string) string
	// Interrupted reports whether EC2 recently interrupted instances where the node group would launch. It is nil where nobody knows.
	Interrupted func(nodeGroup string) bool
	// Rank is lower for node groups to prefer among equal ones, above all for those with fewer problems. It is nil where nobody knows.
	Rank func(nodeGroup string) int
	// Event publishes an event that says why an option was chosen. It is nil for none.
	Event func(eventType, reason, message string)
	// Chose receives each choice. It must return at once. It is nil for nobody.
	Chose func(Choice)
}

// New builds the chain of the names that Parse returned.
func New(names []string, config Config) *Chain {
	c, filters := &Chain{event: config.Event, chose: config.Chose}, config.filters()
	for _, name := range names {
		filter := filters[name]()
		c.steps = append(c.steps, step{name: name, filter: filter, flag: true})
		if p, is := filter.(*priority); is {
			c.priority = p
		}
	}
	if slices.Contains(names, leastcost.Name) {
		c.leastCost = config.LeastCost
	}
	// The operator's priorities come first if they are the first of the names, and least-cost weighs interruptions itself.
	at := 0
	if len(names) > 0 && names[0] == coreexpander.PriorityBasedExpanderName {
		at = 1
	}
	if config.Interrupted != nil && (at == len(names) || names[at] != leastcost.Name) {
		c.steps = slices.Insert(c.steps, at, step{name: "not recently interrupted", filter: notInterrupted(config.Interrupted)})
	}
	if !slices.Contains(names, coreexpander.RandomExpanderName) {
		if f := config.LeastCost; f != nil && f.Preferences.Percent > 0 && c.leastCost == nil {
			c.leastCost = f.ByPreference()
			c.steps = append(c.steps, step{name: "preferences of pods", filter: c.leastCost})
		}
		c.steps = append(c.steps, step{name: "cheapest", filter: cheapest{config.Costs}},
			step{name: "fewest problems, smallest, first by name", filter: firstByName{config.Rank}})
	}
	return c
}

func (c Config) filters() map[string]func() coreexpander.Filter {
	return map[string]func() coreexpander.Filter{
		coreexpander.GRPCExpanderName:          func() coreexpander.Filter { return grpcplugin.NewFilter(c.GRPCCert, c.GRPCURL) },
		leastcost.Name:                         func() coreexpander.Filter { return c.LeastCost },
		coreexpander.LeastNodesExpanderName:    leastnodes.NewFilter,
		coreexpander.LeastWasteExpanderName:    func() coreexpander.Filter { return &leastwaste.Filter{} },
		"least-waste-stock":                    waste.NewFilter,
		coreexpander.MostPodsExpanderName:      mostpods.NewFilter,
		coreexpander.PriceBasedExpanderName:    func() coreexpander.Filter { return newByPrice(c) },
		coreexpander.PriorityBasedExpanderName: func() coreexpander.Filter { return newPriority(c.Clients, c.KubeClient, c.Namespace, c.GroupName) },
		coreexpander.RandomExpanderName:        random.NewFilter,
	}
}
