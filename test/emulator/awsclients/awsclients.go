package awsclients

import (
	"os"

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

// Options makes clients that reach the server.
func Options(server *fakeaws.Server) awsclient.Options {
	overrides := map[string]*awsclient.ServiceOverride{}
	for _, service := range []string{"autoscaling", "ec2", "eks", "sqs", "arc-zonal-shift"} {
		overrides[service] = &awsclient.ServiceOverride{Service: service, Region: server.Region(), URL: server.URL(), SigningRegion: server.Region()}
	}
	return awsclient.Options{Region: server.Region(), CloudConfig: awsclient.CloudConfig{ServiceOverride: overrides}}
}
