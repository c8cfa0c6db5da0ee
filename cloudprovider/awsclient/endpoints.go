package awsclient

import (
	"cmp"
	"context"
	"fmt"
	"net/url"

	smithyauth "github.com/aws/smithy-go/auth"
	smithyendpoints "github.com/aws/smithy-go/endpoints"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// endpointResolver is a service's EndpointResolverV2. P is its EndpointParameters.
type endpointResolver[P any] interface {
	ResolveEndpoint(context.Context, P) (smithyendpoints.Endpoint, error)
}

// override has a client of the service resolve its endpoint by the ServiceOverride for the region, if there is one.
func override[R endpointResolver[P], P any](resolver *R, c CloudConfig, service, region string) {
	for _, name := range c.sectionNames() {
		if o := c.ServiceOverride[name]; o.Service == service && o.Region == region {
			*resolver = any(fixedEndpoint[P]{*o}).(R)
		}
	}
}

// fixedEndpoint answers every request of a service's client with the endpoint of a ServiceOverride.
type fixedEndpoint[P any] struct{ ServiceOverride }

func (f fixedEndpoint[P]) ResolveEndpoint(context.Context, P) (smithyendpoints.Endpoint, error) {
	uri, err := url.Parse(f.URL)
	if err != nil {
		return smithyendpoints.Endpoint{}, fmt.Errorf("service override of %s in %s: %w", f.Service, f.Region, err)
	}
	signingName := cmp.Or(f.SigningName, f.Service)
	signer := smithyauth.Option{SchemeID: smithyauth.SchemeIDSigV4}
	smithyhttp.SetSigV4SigningName(&signer.SignerProperties, signingName)
	smithyhttp.SetSigV4ASigningName(&signer.SignerProperties, signingName)
	smithyhttp.SetSigV4SigningRegion(&signer.SignerProperties, f.SigningRegion)
	endpoint := smithyendpoints.Endpoint{URI: *uri}
	smithyauth.SetAuthOptions(&endpoint.Properties, []*smithyauth.Option{&signer})
	return endpoint, nil
}
