package awsclient

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/arczonalshift"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/middleware"
	"github.com/prometheus/client_golang/prometheus"
)

// imdsRegionTimeout bounds the last resort in finding the region. Off EC2 nothing answers there.
const imdsRegionTimeout = 5 * time.Second

// attemptTimeout bounds one attempt of a call, the reading of its answer included: the SDK's own client would wait for
// ever for an endpoint that accepts and does not answer.
const attemptTimeout = 10 * time.Second

// longPollTimeout replaces attemptTimeout for SQS, whose ReceiveMessage may wait 20 seconds for a message.
const longPollTimeout = 30 * time.Second

// Options choose the region and endpoints of AWS, and the metrics. The zero value leaves everything to the SDK's default chain.
type Options struct {
	// Region wins over AWS_REGION, AWS_DEFAULT_REGION, the shared configuration file and the instance metadata.
	Region      string
	CloudConfig CloudConfig                     // holds the endpoint overrides
	Version     string                          // goes into the user agent behind "asg-autoscaler/"
	Registerer  prometheus.Registerer           // receives the request histogram. It may be nil
	HTTPClient  aws.HTTPClient                  // makes the requests. With nil it is the SDK's own, with a bound on each try
	Middleware  []func(*middleware.Stack) error // put into the stack of every client
}

// Clients are the AWS services the autoscaler talks to, all in one region and with the same credentials.
type Clients struct {
	Region      string
	RegionFrom  string // the source that named it, if not the Options
	AutoScaling *AutoScaling
	EC2         *ec2.Client
	EKS         *eks.Client
	SQS         *sqs.Client
	ZonalShifts *arczonalshift.Client

	metric *requestMetric
}

// Calls counts the calls since New by action, in no order.
func (c *Clients) Calls() []Calls {
	c.metric.mu.Lock()
	defer c.metric.mu.Unlock()
	return slices.Collect(maps.Values(c.metric.calls))
}

// New makes the clients. It makes no AWS call, except for the region from the instance metadata where nothing else names it.
// Retries follow AWS_MAX_ATTEMPTS and AWS_RETRY_MODE. The SDK's adaptive mode is not the default: it never lifts its limit again after one
// throttled call, and a quiet cluster's limit is so low that each burst of calls waits for seconds.
func New(ctx context.Context, o Options) (*Clients, error) {
	cfg, regionFrom, err := o.load(ctx)
	if err != nil {
		return nil, err
	}
	metric := newRequestMetric(o.Registerer)
	cfg.APIOptions = append(cfg.APIOptions, awsmiddleware.AddUserAgentKeyValue("asg-autoscaler", o.Version), refuseRepeatedPages, metric.attach)
	cfg.APIOptions = append(cfg.APIOptions, o.Middleware...)
	autoscalingOptions := func(s *autoscaling.Options) {
		override(&s.EndpointResolverV2, o.CloudConfig, "autoscaling", cfg.Region)
	}
	writes := autoscaling.NewFromConfig(cfg, autoscalingOptions)
	queues := sqs.NewFromConfig(cfg, func(s *sqs.Options) {
		if shared, own := cfg.HTTPClient.(*awshttp.BuildableClient); own && o.HTTPClient == nil { // with the certificates of AWS_CA_BUNDLE
			s.HTTPClient = shared.WithTimeout(longPollTimeout)
		}
		override(&s.EndpointResolverV2, o.CloudConfig, "sqs", cfg.Region)
	})
	return &Clients{
		metric: metric,
		Region: cfg.Region, RegionFrom: regionFrom,
		AutoScaling: &AutoScaling{readings: readings{autoscaling.NewFromConfig(cfg, autoscalingOptions)},
			lookups: autoscaling.NewFromConfig(cfg, autoscalingOptions), Writes: writes, Hooks: writes},
		EC2: ec2.NewFromConfig(cfg, func(s *ec2.Options) { override(&s.EndpointResolverV2, o.CloudConfig, "ec2", cfg.Region) }),
		EKS: eks.NewFromConfig(cfg, func(s *eks.Options) { override(&s.EndpointResolverV2, o.CloudConfig, "eks", cfg.Region) }),
		SQS: queues,
		ZonalShifts: arczonalshift.NewFromConfig(cfg, func(s *arczonalshift.Options) {
			override(&s.EndpointResolverV2, o.CloudConfig, "arc-zonal-shift", cfg.Region)
		}),
	}, nil
}

// load returns the SDK's configuration with the region set, and the source of the region.
func (o Options) load(ctx context.Context) (cfg aws.Config, regionFrom string, err error) {
	client := o.HTTPClient
	if client == nil {
		client = awshttp.NewBuildableClient().WithTimeout(attemptTimeout)
	}
	cfg, err = config.LoadDefaultConfig(ctx, config.WithRegion(o.Region), config.WithHTTPClient(client))
	if err != nil {
		return aws.Config{}, "", fmt.Errorf("load AWS configuration from environment and shared files: %w", err)
	}
	regionFrom = "shared configuration file"
	for _, name := range []string{"AWS_DEFAULT_REGION", "AWS_REGION"} {
		if os.Getenv(name) != "" {
			regionFrom = name
		}
	}
	if cfg.Region == "" {
		if o.Region, err = regionFromIMDS(ctx, cfg); err != nil {
			return aws.Config{}, "", err
		}
		cfg, _, err = o.load(ctx) // anew, because the credentials of a role keep the region with which they were loaded
		return cfg, "instance metadata", err
	}
	return cfg, regionFrom, nil
}

// ErrNoRegion is the error of New where only the instance metadata service could name the region, and does not. It may answer later.
var ErrNoRegion = errors.New("no AWS region: set --asg-region or the environment variable AWS_REGION")

func regionFromIMDS(ctx context.Context, cfg aws.Config) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, imdsRegionTimeout)
	defer cancel()
	out, err := imds.NewFromConfig(cfg).GetRegion(ctx, &imds.GetRegionInput{})
	if err != nil {
		return "", errors.Join(ErrNoRegion, fmt.Errorf("ask the instance metadata service for it: %w", err))
	}
	return out.Region, nil
}

// refuseRepeatedPages makes a call fail whose answer names the page that was asked for as the next one, as in the AWS CLI. The SDK would ask for it
// without end.
func refuseRepeatedPages(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("RepeatedPage",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
			middleware.InitializeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleInitialize(ctx, in)
			if page := nextToken(in.Parameters); err == nil && page != "" && nextToken(out.Result) == page {
				err = fmt.Errorf("the endpoint names the page %q as the next one after itself", page)
			}
			return out, metadata, err
		}), middleware.Before)
}

// nextToken returns the field NextToken of a call's input or output, which has no other name in the calls that we make.
func nextToken(of any) string {
	if v := reflect.Indirect(reflect.ValueOf(of)); v.Kind() == reflect.Struct && v.FieldByName("NextToken").IsValid() {
		token, _ := v.FieldByName("NextToken").Interface().(*string)
		return aws.ToString(token)
	}
	return ""
}
