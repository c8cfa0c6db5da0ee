package awsclients

import (
	"context"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// SetEnvironment sets the environment that all tests share: credentials that the emulated AWS accepts, and one attempt for each
// call. Call it before the first test.
func SetEnvironment() {
	for key, value := range map[string]string{"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_MAX_ATTEMPTS": "1"} {
		os.Setenv(key, value) //nolint:errcheck // neither name nor value is wrong
	}
}

// Options makes clients that reach the server, one without a port too.
func Options(server *fakeaws.Server) awsclient.Options {
	overrides := map[string]*awsclient.ServiceOverride{}
	options := awsclient.Options{Region: server.Region(), CloudConfig: awsclient.CloudConfig{ServiceOverride: overrides}}
	url := server.URL()
	if url == "" {
		url, options.HTTPClient = "http://fakeaws.invalid", patient{server.HTTPClient()}
	}
	for _, service := range []string{"autoscaling", "ec2", "eks", "sqs", "arc-zonal-shift"} {
		overrides[service] = &awsclient.ServiceOverride{Service: service, Region: server.Region(), URL: url, SigningRegion: server.Region()}
	}
	return options
}

// patient gives a request as long as the client of awsclient does.
type patient struct {
	client interface {
		Do(*http.Request) (*http.Response, error)
	}
}

func (p patient) Do(r *http.Request) (*http.Response, error) {
	if strings.HasPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.") { // which may wait for messages
		return p.client.Do(r)
	}
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	return p.client.Do(r.WithContext(ctx))
}
