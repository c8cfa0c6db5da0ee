// Package awsclients has tests with AWS clients run side by side. The environment, which usually names the endpoint, is one for the
// whole process.
package awsclients

import (
	"os"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
)

// SetEnvironment sets what is the same for all tests: credentials that the emulated AWS takes, and one attempt for each call. It is called
// before the first test.
func SetEnvironment() {
	for key, value := range map[string]string{"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_MAX_ATTEMPTS": "1"} {
		os.Setenv(key, value) //nolint:errcheck // neither name nor value is wrong
	}
}

// Options has clients reach the server.
func Options(server *fakeaws.Server) awsclient.Options {
	overrides := map[string]*awsclient.ServiceOverride{}
	for _, service := range []string{"autoscaling", "ec2", "eks", "sqs", "arc-zonal-shift"} {
		overrides[service] = &awsclient.ServiceOverride{Service: service, Region: server.Region(), URL: server.URL(), SigningRegion: server.Region()}
	}
	return awsclient.Options{Region: server.Region(), CloudConfig: awsclient.CloudConfig{ServiceOverride: overrides}}
}
