// Package expanders builds the chain of expanders that chooses which node group grows.
//
// It is the Cluster Autoscaler's own chain, with every expander it knows, and two differences: least-waste is package
// leastwaste, and what the chain leaves open is decided by list price and then by name instead of at random, so that the
// same input always gives the same answer. Whoever asks for the random expander still gets it.
package expanders

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	ca_context "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/expander/factory"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/client-go/kubernetes"

	"github.com/asg-autoscaler/asg-autoscaler/expander/leastwaste"
)

// The names under which the last expanders of a chain are registered. The comma keeps them out of reach of --expander.
const (
	byPrice = "by-price,"
	byName  = "by-name,"
)

// Config is what the expanders need. Only the expanders that are named use their part of it.
type Config struct {
	Names      string // comma-separated, as in --expander
	Provider   cloudprovider.CloudProvider
	Prices     priceList // that break ties; nil for none
	Clients    *ca_context.AutoscalingKubeClients
	KubeClient kubernetes.Interface
	Namespace  string // of the priority expander's config map
	GRPCCert   string // file with the certificate of the gRPC expander's server
	GRPCURL    string
}

// New builds the chain that config names. It fails where a name is unknown or repeated, stands after an expander that
// always decides, or cannot work with the provider.
func New(config Config) (expander.Strategy, error) {
	names := strings.Split(config.Names, ",")
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	if slices.Contains(names, expander.PriceBasedExpanderName) {
		if _, err := config.Provider.Pricing(); err != nil {
			return nil, fmt.Errorf("expander %q needs prices: %w", expander.PriceBasedExpanderName, err)
		}
	}
	f := factory.NewFactory()
	f.RegisterDefaultExpanders(config.Provider, config.Clients, config.KubeClient, config.Namespace,
		config.GRPCCert, config.GRPCURL)
	f.RegisterFilter(expander.LeastWasteExpanderName, func() expander.Filter { return leastwaste.New() })
	f.RegisterFilter(byPrice, func() expander.Filter { return cheapest{prices: config.Prices} })
	f.RegisterFilter(byName, func() expander.Filter { return firstByName{} })
	if !slices.Contains(names, expander.RandomExpanderName) {
		names = append(names, byPrice, byName)
	}
	strategy, err := f.Build(names)
	if err != nil {
		return nil, errors.New(err.Error())
	}
	return strategy, nil
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
