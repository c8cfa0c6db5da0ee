package awsclient

import (
	"context"
	"fmt"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/service/arczonalshift"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	smithyauth "github.com/aws/smithy-go/auth"
	smithyendpoints "github.com/aws/smithy-go/endpoints"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// fixedEndpoint answers every request of a service's client with the endpoint of a ServiceOverride.
type fixedEndpoint struct {
	service string
	ServiceOverride
}

func (f fixedEndpoint) endpoint() (smithyendpoints.Endpoint, error) {
	uri, err := url.Parse(f.URL)
	if err != nil {
		return smithyendpoints.Endpoint{}, fmt.Errorf("service override of %s in %s: %w", f.Service, f.Region, err)
	}
	signingName := f.SigningName
	if signingName == "" {
		signingName = f.service
	}
	signer := smithyauth.Option{SchemeID: smithyauth.SchemeIDSigV4}
	smithyhttp.SetSigV4SigningName(&signer.SignerProperties, signingName)
	smithyhttp.SetSigV4ASigningName(&signer.SignerProperties, signingName)
	smithyhttp.SetSigV4SigningRegion(&signer.SignerProperties, f.SigningRegion)
	endpoint := smithyendpoints.Endpoint{URI: *uri}
	smithyauth.SetAuthOptions(&endpoint.Properties, []*smithyauth.Option{&signer})
	return endpoint, nil
}

type (
	autoscalingEndpoint struct{ fixedEndpoint }
	ec2Endpoint         struct{ fixedEndpoint }
	eksEndpoint         struct{ fixedEndpoint }
	sqsEndpoint         struct{ fixedEndpoint }
	zonalShiftEndpoint  struct{ fixedEndpoint }
)

// ResolveEndpoint implements autoscaling.EndpointResolverV2.
func (e autoscalingEndpoint) ResolveEndpoint(context.Context, autoscaling.EndpointParameters) (smithyendpoints.Endpoint, error) {
	return e.endpoint()
}

// ResolveEndpoint implements ec2.EndpointResolverV2.
func (e ec2Endpoint) ResolveEndpoint(context.Context, ec2.EndpointParameters) (smithyendpoints.Endpoint, error) {
	return e.endpoint()
}

// ResolveEndpoint implements eks.EndpointResolverV2.
func (e eksEndpoint) ResolveEndpoint(context.Context, eks.EndpointParameters) (smithyendpoints.Endpoint, error) {
	return e.endpoint()
}

// ResolveEndpoint implements sqs.EndpointResolverV2.
func (e sqsEndpoint) ResolveEndpoint(context.Context, sqs.EndpointParameters) (smithyendpoints.Endpoint, error) {
	return e.endpoint()
}

// ResolveEndpoint implements arczonalshift.EndpointResolverV2.
func (e zonalShiftEndpoint) ResolveEndpoint(context.Context, arczonalshift.EndpointParameters) (smithyendpoints.Endpoint, error) {
	return e.endpoint()
}
