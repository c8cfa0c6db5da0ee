package fakeaws

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// clients are the real clients of the SDK, all pointed at one Server.
type clients struct {
	autoscaling *autoscaling.Client
	ec2         *ec2.Client
	eks         *eks.Client
	sqs         *sqs.Client
	sts         *sts.Client
}

func newClients(cfg aws.Config) clients {
	return clients{
		autoscaling: autoscaling.NewFromConfig(cfg),
		ec2:         ec2.NewFromConfig(cfg),
		eks:         eks.NewFromConfig(cfg),
		sqs:         sqs.NewFromConfig(cfg),
		sts:         sts.NewFromConfig(cfg),
	}
}

func sdkConfig(endpoint, region string) aws.Config {
	return aws.Config{
		Region: region, BaseEndpoint: aws.String(endpoint), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("AKIATEST", "secret", ""),
	}
}

// overHTTP starts a Server and clients that reach it through a port.
func overHTTP(t *testing.T, cfg Config) (*Server, clients) {
	s, err := Start(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	sdk := sdkConfig(s.URL(), s.Region())
	sdk.HTTPClient = buffered{http.DefaultClient}
	return s, newClients(sdk)
}

// buffered sends a copy of each request's body. The SDK closes the body as soon as the answer begins. On a busy machine
// net/http may not have finished with it then, and breaks the connection off.
type buffered struct{ client *http.Client }

func (b buffered) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(data))
	}
	return b.client.Do(r)
}

// inBubble runs a test in which time passes only when all goroutines wait. The clients call the Server without a network.
func inBubble(t *testing.T, cfg Config, test func(*testing.T, *Server, clients)) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(cfg)
		require.NoError(t, err)
		defer s.Close()
		sdk := sdkConfig("http://fakeaws.invalid", s.Region())
		sdk.HTTPClient = s.HTTPClient()
		test(t, s, newClients(sdk))
	})
}

// pass lets time go by in a bubble.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// wantAPIError checks code and message of an error. An empty want is not checked.
func wantAPIError(t *testing.T, err error, code, message string) {
	var api smithy.APIError
	require.Truef(t, errors.As(err, &api), "error = %v, want an API error %q", err, code)
	assert.Truef(t, api.ErrorCode() == code && (message == "" || api.ErrorMessage() == message),
		"error = %q: %q, want %q: %q", api.ErrorCode(), api.ErrorMessage(), code, message)
}

// oneGroup is an account with one group of m5.large in three zones.
func oneGroup(change ...func(*AutoScalingGroup)) Config {
	g := AutoScalingGroup{
		Name: "g", Min: 0, Max: 10, Zones: []string{"us-west-2a", "us-west-2b", "us-west-2c"},
		LaunchTemplate: &LaunchTemplateRef{Name: "t", Version: "$Latest"},
	}
	for _, c := range change {
		c(&g)
	}
	return Config{
		LaunchTemplates:   []LaunchTemplate{{Name: "t", Versions: []LaunchTemplateVersion{{InstanceType: "m5.large", ImageID: "ami-1"}}}},
		AutoScalingGroups: []AutoScalingGroup{g},
	}
}
