package awsclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	smithyauth "github.com/aws/smithy-go/auth"
	smithyendpoints "github.com/aws/smithy-go/endpoints"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"gopkg.in/gcfg.v1"
)

// CloudConfig is the part of the AWS cloud provider's configuration file (--cloud-config) that the Cluster Autoscaler
// acts on: its ServiceOverride sections, keyed by the section's name. Every other section is accepted and ignored.
type CloudConfig struct {
	ServiceOverride map[string]*ServiceOverride
}

// ServiceOverride replaces the endpoint of one service ("ec2", "autoscaling", "eks", "sqs" or "arc-zonal-shift") in one region.
// An empty SigningName means the service's own. Only signature version 4 exists, so SigningMethod is accepted and ignored.
type ServiceOverride struct {
	Service       string
	Region        string
	URL           string
	SigningRegion string
	SigningMethod string
	SigningName   string
}

// ReadCloudConfig reads the file at path. An empty path is an empty configuration. All faults of the file are reported at once.
func ReadCloudConfig(path string) (config CloudConfig, err error) {
	if path == "" {
		return config, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return config, fmt.Errorf("read cloud configuration: %w", err)
	}
	if err := gcfg.FatalOnly(gcfg.ReadStringInto(&config, string(text))); err != nil {
		return config, fmt.Errorf("cloud configuration %q: parse: %w", path, err)
	}
	if err := config.validate(); err != nil {
		return config, fmt.Errorf("cloud configuration %q: %w", path, err)
	}
	return config, nil
}

func (c CloudConfig) validate() error {
	var errs []error
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.ServiceOverride)) {
		o := c.ServiceOverride[name]
		for _, field := range []struct {
			name  string
			value *string
		}{{"Service", &o.Service}, {"Region", &o.Region}, {"URL", &o.URL}, {"SigningRegion", &o.SigningRegion}} {
			*field.value = strings.TrimSpace(*field.value)
			if *field.value == "" {
				errs = append(errs, fmt.Errorf("ServiceOverride %q: %s is missing: set %s = …", name, field.name, field.name))
			}
		}
		if u, err := url.Parse(o.URL); o.URL != "" && (err != nil || u.Host == "") {
			errs = append(errs, fmt.Errorf("ServiceOverride %q: URL %q is not one with a scheme and a host, such as https://ec2.example.com", name, o.URL))
		}
		key := o.Service + "_" + o.Region
		if first, dup := seen[key]; dup {
			errs = append(errs, fmt.Errorf("ServiceOverride %q: %s in %s is overridden by %q already: remove one of them", name, o.Service, o.Region, first))
		}
		seen[key] = name
	}
	return errors.Join(errs...)
}

// endpointResolver is a service's EndpointResolverV2. P is its EndpointParameters.
type endpointResolver[P any] interface {
	ResolveEndpoint(context.Context, P) (smithyendpoints.Endpoint, error)
}

// override has a client of the service resolve its endpoint by the ServiceOverride for the region, if there is one.
func override[R endpointResolver[P], P any](resolver *R, c CloudConfig, service, region string) {
	for _, o := range c.ServiceOverride {
		if o.Service == service && o.Region == region {
			*resolver = any(fixedEndpoint[P]{*o}).(R)
		}
	}
}

// fixedEndpoint answers every request of a service's client with the endpoint of a ServiceOverride.
type fixedEndpoint[P any] struct{ ServiceOverride }

func (f fixedEndpoint[P]) ResolveEndpoint(context.Context, P) (smithyendpoints.Endpoint, error) {
	uri, _ := url.Parse(f.URL) // validate has refused wrong ones
	signingName := cmp.Or(f.SigningName, f.Service)
	signer := smithyauth.Option{SchemeID: smithyauth.SchemeIDSigV4}
	smithyhttp.SetSigV4SigningName(&signer.SignerProperties, signingName)
	smithyhttp.SetSigV4ASigningName(&signer.SignerProperties, signingName)
	smithyhttp.SetSigV4SigningRegion(&signer.SignerProperties, f.SigningRegion)
	endpoint := smithyendpoints.Endpoint{URI: *uri}
	smithyauth.SetAuthOptions(&endpoint.Properties, []*smithyauth.Option{&signer})
	return endpoint, nil
}
