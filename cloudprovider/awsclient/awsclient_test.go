package awsclient_test

import (
	"context"
	"encoding/csv"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// startAWS starts an emulated AWS and credentials for it, and nothing else in the environment that names a region.
func startAWS(t *testing.T) *fakeaws.Server {
	server, err := fakeaws.Start(t.Context(), fakeaws.Config{Region: "cn-northwest-1"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	setEnvironment(t)
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	return server
}

// inBubble runs a test with the Auto Scaling client of an emulated AWS, in a bubble in which time passes only when all are waiting.
func inBubble(t *testing.T, config fakeaws.Config, test func(*testing.T, *fakeaws.Server, *awsclient.AutoScaling)) {
	setEnvironment(t)
	t.Setenv("AWS_ENDPOINT_URL", "http://fakeaws.invalid")
	t.Setenv("AWS_CA_BUNDLE", "") // only the SDK's own client takes one
	synctest.Test(t, func(t *testing.T) {
		server, err := fakeaws.New(config)
		require.NoError(t, err)
		defer server.Close() //nolint:errcheck // it has no port
		clients, err := awsclient.New(t.Context(), awsclient.Options{Region: server.Region(), HTTPClient: server.HTTPClient()})
		require.NoError(t, err)
		test(t, server, clients.AutoScaling)
	})
}

// setEnvironment sets credentials, and nothing else in the environment that names a region or an endpoint.
func setEnvironment(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	nowhere := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_CONFIG_FILE", nowhere)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", nowhere)
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

func TestWhereTheRegionComesFrom(t *testing.T) {
	shared := func(region string) func(*testing.T) {
		return func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "config")
			require.NoError(t, os.WriteFile(file, []byte("[default]\nregion = "+region+"\n"), 0o600))
			t.Setenv("AWS_CONFIG_FILE", file)
		}
	}
	env := func(name, region string) func(*testing.T) { return func(t *testing.T) { t.Setenv(name, region) } }
	for _, tt := range []struct {
		name, flag string
		given      []func(*testing.T)
		want       string // "" for an error
	}{
		{name: "--asg-region", flag: "cn-north-1", given: []func(*testing.T){env("AWS_REGION", "us-east-1"), shared("eu-west-1")}, want: "cn-north-1"},
		{name: "AWS_REGION", given: []func(*testing.T){env("AWS_REGION", "us-east-1"), env("AWS_DEFAULT_REGION", "us-east-2"), shared("eu-west-1")}, want: "us-east-1"},
		{name: "AWS_DEFAULT_REGION", given: []func(*testing.T){env("AWS_DEFAULT_REGION", "us-east-2"), shared("eu-west-1")}, want: "us-east-2"},
		{name: "shared configuration file", given: []func(*testing.T){shared("eu-west-1")}, want: "eu-west-1"},
		{name: "nowhere"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			startAWS(t)
			for _, set := range tt.given {
				set(t)
			}
			clients, err := awsclient.New(t.Context(), awsclient.Options{Region: tt.flag})
			if tt.want == "" {
				assert.ErrorContains(t, err, "--asg-region", "error, want one that names the flag")
				return
			}
			assert.Truef(t, err == nil && clients.Region == tt.want && (tt.flag != "" || clients.RegionFrom == tt.name),
				"region = %+v, error %v, want %s from %s", clients, err, tt.want, tt.name)
		})
	}
}

type answering func(*http.Request) string

func (a answering) Do(r *http.Request) (*http.Response, error) {
	header := http.Header{"X-Aws-Ec2-Metadata-Token-Ttl-Seconds": {"60"}}
	return &http.Response{StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(strings.NewReader(a(r)))}, nil
}

func TestRoleIsAssumedInTheRegionOfTheMetadata(t *testing.T) {
	setEnvironment(t)
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("token"), 0o600))
	for name, value := range map[string]string{
		"AWS_EC2_METADATA_DISABLED": "false", "AWS_CA_BUNDLE": "", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "",
		"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/scaler", "AWS_WEB_IDENTITY_TOKEN_FILE": token, "AWS_MAX_ATTEMPTS": "1",
	} {
		t.Setenv(name, value)
	}
	var hosts []string
	metadata := map[string]string{"/latest/api/token": "token", "/latest/dynamic/instance-identity/document": `{"region": "us-west-2"}`}
	clients, err := awsclient.New(t.Context(), awsclient.Options{HTTPClient: answering(func(r *http.Request) string {
		hosts = append(hosts, r.URL.Host)
		return metadata[r.URL.Path]
	})})
	require.NoError(t, err)
	assert.Equal(t, []string{"us-west-2", "instance metadata"}, []string{clients.Region, clients.RegionFrom})
	_, err = clients.EC2.DescribeImages(t.Context(), &ec2.DescribeImagesInput{})
	assert.Containsf(t, hosts, "sts.us-west-2.amazonaws.com", "error %v", err)
}

func callAll(ctx context.Context, c *awsclient.Clients) error {
	_, err := c.AutoScaling.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{})
	_, err2 := c.EC2.DescribeImages(ctx, &ec2.DescribeImagesInput{})
	cluster, name := "c", "n"
	_, err3 := c.EKS.DescribeNodegroup(ctx, &eks.DescribeNodegroupInput{ClusterName: &cluster, NodegroupName: &name})
	if awsclient.IsNotFound(err3) {
		err3 = nil
	}
	return errors.Join(err, err2, err3)
}

var oneOfEach = map[string]int{"DescribeAutoScalingGroups": 1, "DescribeImages": 1, "DescribeNodegroup": 1}

func TestTheEndpointOfTheEnvironmentServesAllClients(t *testing.T) {
	server := startAWS(t)
	t.Setenv("AWS_ENDPOINT_URL", server.URL())
	clients, err := awsclient.New(t.Context(), awsclient.Options{Region: "cn-northwest-1"})
	require.NoError(t, err)
	assert.NoError(t, callAll(t.Context(), clients))
	assert.Empty(t, cmp.Diff(oneOfEach, server.Calls()), "calls (-want +got)")
}

// Behind a proxy that opens TLS, no system has the proxy's certificate.
func TestTheCABundleServesTheQueueToo(t *testing.T) {
	setEnvironment(t)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	t.Setenv("AWS_CA_BUNDLE", file)
	t.Setenv("AWS_ENDPOINT_URL", server.URL)
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	clients, err := awsclient.New(t.Context(), awsclient.Options{Region: "cn-northwest-1"})
	require.NoError(t, err)
	_, groups := clients.AutoScaling.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{})
	_, queue := clients.SQS.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(server.URL + "/1/queue")})
	for _, err := range []error{groups, queue} {
		var answer *awshttp.ResponseError
		assert.Truef(t, errors.As(err, &answer) && answer.HTTPStatusCode() == http.StatusTeapot, "no answer of the server: %v", err)
	}
}

func TestRepeatedPageEndsTheCalls(t *testing.T) {
	setEnvironment(t)
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls++; calls > 9 {
			w.WriteHeader(http.StatusTeapot)
		}
		_, _ = fmt.Fprint(w, "<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult><AutoScalingGroups/><NextToken>same</NextToken>"+
			"</DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>")
	}))
	defer server.Close()
	t.Setenv("AWS_ENDPOINT_URL", server.URL)
	clients, err := awsclient.New(t.Context(), awsclient.Options{Region: "cn-northwest-1"})
	require.NoError(t, err)
	pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(clients.AutoScaling, &autoscaling.DescribeAutoScalingGroupsInput{})
	for err == nil && pages.HasMorePages() {
		_, err = pages.NextPage(t.Context())
	}
	assert.ErrorContains(t, err, `the endpoint names the page "same" as the next one after itself`)
	assert.Equal(t, 2, calls, "calls")
}

func overrides(url string) string {
	var text strings.Builder
	text.WriteString("[Global]\nZone = cn-northwest-1a\nRoleARN = ignored\n")
	for i, service := range []string{"ec2", "autoscaling", "eks"} {
		fmt.Fprintf(&text, "[ServiceOverride \"%d\"]\nService = %s\nRegion = cn-northwest-1\nURL = %s\nSigningRegion = cn-north-1\n", i, service, url)
	}
	return text.String()
}

func readCloudConfig(t *testing.T, text string) (awsclient.CloudConfig, error) {
	path := filepath.Join(t.TempDir(), "cloud.conf")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return awsclient.ReadCloudConfig(path)
}

func TestServiceOverridesWinOverEnvironment(t *testing.T) {
	server := startAWS(t)
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1") // nobody there
	config, err := readCloudConfig(t, overrides(server.URL()))
	require.NoError(t, err)
	clients, err := awsclient.New(t.Context(), awsclient.Options{Region: "cn-northwest-1", CloudConfig: config})
	require.NoError(t, err)
	assert.NoError(t, callAll(t.Context(), clients))
	assert.Empty(t, cmp.Diff(oneOfEach, server.Calls()), "calls (-want +got)")
	elsewhere, err := awsclient.New(t.Context(), awsclient.Options{Region: "cn-north-1", CloudConfig: config})
	require.NoError(t, err)
	assert.Error(t, callAll(t.Context(), elsewhere), "an override of another region was used")
}

func TestCloudConfigsThatMakeNoSenseAreRefused(t *testing.T) {
	valid := overrides("http://127.0.0.1:1")
	for _, tt := range []struct{ name, text, want string }{
		{name: "not a configuration", text: "{}", want: "parse"},
		{name: "no service", text: strings.Replace(valid, "Service = ec2", "Service = ", 1), want: "Service is missing"},
		{name: "no region", text: strings.Replace(valid, "Region = cn-northwest-1\n", "", 1), want: "Region is missing"},
		{name: "no URL", text: strings.Replace(valid, "URL = http://127.0.0.1:1\n", "", 1), want: "URL is missing"},
		{name: "no host in the URL", text: strings.Replace(valid, "http://127.0.0.1:1", "://x", 1), want: "scheme and a host"},
		{name: "no signing region", text: strings.Replace(valid, "SigningRegion = cn-north-1\n", "", 1), want: "SigningRegion is missing"},
		{name: "same service twice", text: strings.Replace(valid, "autoscaling", "ec2", 1), want: "overridden by"},
	} {
		_, err := readCloudConfig(t, tt.text)
		assert.Truef(t, err != nil && strings.Contains(err.Error(), tt.want), "%s: error = %v, want one with %q", tt.name, err, tt.want)
	}
}

func TestRequestsAreCountedUnderTheStockNames(t *testing.T) {
	server := startAWS(t)
	t.Setenv("AWS_ENDPOINT_URL", server.URL())
	registry := prometheus.NewRegistry()
	clients, err := awsclient.New(t.Context(), awsclient.Options{Region: "cn-northwest-1", Registerer: registry})
	require.NoError(t, err)
	server.Deny("DescribeImages")
	_ = callAll(t.Context(), clients)
	families, err := registry.Gather()
	require.NoError(t, err)
	got := map[string]uint64{}
	for _, m := range families[0].GetMetric() {
		got[m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue()] = m.GetHistogram().GetSampleCount()
	}
	want := map[string]uint64{"DescribeAutoScalingGroupsPages success": 1, "DescribeImages UnauthorizedOperation": 1, "DescribeNodegroup ResourceNotFoundException": 1}
	diff := cmp.Diff(want, got)
	assert.Truef(t, diff == "" && families[0].GetName() == "cluster_autoscaler_aws_request_duration_seconds", "%s (-want +got):\n%s", families[0].GetName(), diff)

	calls := clients.Calls()
	slices.SortFunc(calls, func(a, b awsclient.Calls) int { return strings.Compare(a.Action, b.Action) })
	counted := []awsclient.Calls{{Action: "DescribeAutoScalingGroups", All: 1}, {Action: "DescribeImages", All: 1, Failed: 1}, {Action: "DescribeNodegroup", All: 1, Failed: 1}}
	assert.Empty(t, cmp.Diff(counted, calls), "calls (-want +got)")
}

func TestReasonOfAnError(t *testing.T) {
	answer := func(code, message string) error {
		return fmt.Errorf("act: %w", &smithy.GenericAPIError{Code: code, Message: message})
	}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{answer("Throttling", "Rate exceeded"), "throttled"},
		{answer("RequestLimitExceeded", ""), "throttled"},
		{answer("AccessDenied", ""), "denied"},
		{answer("UnauthorizedOperation", ""), "denied"},
		{answer("ExpiredToken", ""), "denied"},
		{answer("InvalidIdentityToken", "No OpenIDConnect provider found in your account"), "denied"},
		{answer("EC2ThrottledException", ""), "throttled"},
		{answer("LimitExceededException", ""), "throttled"},
		{answer("ValidationError", "AutoScalingGroup name not found - no such group: a"), "not-found"},
		{answer("ValidationError", "New SetDesiredCapacity value 9 is above max value 3"), "invalid"},
		{answer("InvalidLaunchTemplateId.NotFound", ""), "not-found"},
		{answer("InvalidLaunchTemplateId.VersionNotFound", ""), "not-found"},
		{answer("ResourceNotFoundException", ""), "not-found"},
		{answer("InvalidAMIID.Malformed", ""), "not-found"},
		{answer("InvalidAction", ""), "unsupported"},
		{answer("Client.UnauthorizedOperation", ""), "denied"},
		{answer("AuthFailure.ServiceLinkedRoleCreationNotPermitted", ""), "denied"},
		{answer("InternalFailure", ""), "error"},
		{context.DeadlineExceeded, "timeout"},
		{errors.New("other"), "error"},
	} {
		assert.Equalf(t, tt.want, awsclient.Reason(tt.err), "%s: Reason", tt.err.Error())
	}
}

func TestStatusCountsWhereTheCodeSaysNothing(t *testing.T) {
	for _, tt := range []struct {
		code             string
		status           int
		unknown, forGood bool
	}{
		{"NotImplementedError", 501, true, true}, {"", 501, true, true}, {"NotImplementedError", 500, false, false}, {"", 404, true, true},
		{"ValidationError", 404, false, true}, {"InvalidAction", 400, true, true}, {"", 403, false, true},
		{"UnauthorizedOperation", 403, false, true}, {"", 429, false, false},
		{"Throttling", 400, false, false}, {"ExpiredToken", 403, false, false}, {"RequestExpired", 400, false, false},
	} {
		t.Run(fmt.Sprint(tt.code, tt.status), func(t *testing.T) {
			answer := &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: tt.status}}}
			if tt.code != "" {
				answer.Err = &smithy.GenericAPIError{Code: tt.code}
			}
			err := fmt.Errorf("act: %w", &awshttp.ResponseError{ResponseError: answer})
			assert.Equal(t, tt.unknown, awsclient.IsUnknownCall(err), "IsUnknownCall")
			assert.Equal(t, tt.forGood, awsclient.IsRefusedForGood(err), "IsRefusedForGood")
			assert.Equal(t, tt.status != 500, awsclient.IsRefused(err), "IsRefused")
		})
	}
}

func TestCallsThatAreThrottledTakeNoRetriesOfOthers(t *testing.T) {
	activities := func(ctx context.Context, c *awsclient.AutoScaling) error {
		_, err := c.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{})
		return err
	}
	configurations := func(ctx context.Context, c *awsclient.AutoScaling) error {
		_, err := c.DescribeLaunchConfigurations(ctx, &autoscaling.DescribeLaunchConfigurationsInput{})
		return err
	}
	read := func(ctx context.Context, c *awsclient.AutoScaling) error {
		_, err := c.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{})
		return err
	}
	write := func(ctx context.Context, c *awsclient.AutoScaling) error {
		if err := setOne(ctx, c); !awsclient.IsNotFound(err) { // AWS's answer
			return err
		}
		return nil
	}
	heartbeat := func(ctx context.Context, c *awsclient.AutoScaling) error {
		_, err := c.RecordLifecycleActionHeartbeat(ctx, &autoscaling.RecordLifecycleActionHeartbeatInput{AutoScalingGroupName: aws.String("a"),
			LifecycleHookName: aws.String("h"), InstanceId: aws.String("i-1")})
		if !awsclient.IsNotFound(err) { // AWS's answer
			return err
		}
		return nil
	}
	type calls []func(context.Context, *awsclient.AutoScaling) error
	for _, tt := range []struct {
		throttled string
		call      func(context.Context, *awsclient.AutoScaling) error
		others    calls
	}{
		{"DescribeAutoScalingGroups", read, calls{write, heartbeat, activities, configurations}},
		{"DescribeScalingActivities", activities, calls{read, write}},
		{"DescribeLaunchConfigurations", configurations, calls{read, write}},
	} {
		t.Run(tt.throttled, func(t *testing.T) {
			t.Setenv("AWS_MAX_ATTEMPTS", "2")
			inBubble(t, fakeaws.Config{}, func(t *testing.T, server *fakeaws.Server, client *awsclient.AutoScaling) {
				server.Inject(fakeaws.Fault{Action: tt.throttled, Code: "Throttling"})
				for range 200 { // until the SDK allows no retries any more
					assert.Error(t, tt.call(t.Context(), client))
				}
				for at, other := range tt.others {
					server.Inject(fakeaws.Fault{Code: "Throttling", Times: 1})
					assert.NoErrorf(t, other(t.Context(), client), "call %d beside it", at)
				}
			})
		})
	}
}

func TestOneThrottledCallSlowsNoLaterOnes(t *testing.T) {
	inBubble(t, fakeaws.Config{}, func(t *testing.T, server *fakeaws.Server, client *awsclient.AutoScaling) {
		read := func() {
			_, err := client.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{})
			require.NoError(t, err)
		}
		server.Inject(fakeaws.Fault{Action: "DescribeAutoScalingGroups", Code: "Throttling", Times: 1})
		for range 60 {
			read()
			time.Sleep(time.Minute)
		}
		began := time.Now()
		for range 4 {
			read()
		}
		assert.Less(t, time.Since(began), time.Second, "time of four calls an hour later")
	})
}

func setOne(ctx context.Context, client *awsclient.AutoScaling) error {
	_, err := client.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: aws.String("a"), DesiredCapacity: aws.Int32(1)})
	return err
}

func TestWhatIsAnAnswer(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault fakeaws.Fault
		want  bool
	}{
		{"refused", fakeaws.Fault{Code: "ValidationError"}, true},
		{"fault", fakeaws.Fault{Code: "InternalFailure"}, true},
		{"garbled", fakeaws.Fault{Body: fakeaws.Garbled}, true},
		{"bad gateway", fakeaws.Fault{Code: "BadGateway", Status: 502}, false},
		{"gateway timeout", fakeaws.Fault{Code: "GatewayTimeout", Status: 504}, false},
		{"reset", fakeaws.Fault{Body: fakeaws.Lost}, false},
		{"hangs", fakeaws.Fault{Latency: fakeaws.Duration(time.Hour)}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, fakeaws.Config{}, func(t *testing.T, server *fakeaws.Server, client *awsclient.AutoScaling) {
				server.Inject(tt.fault)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				_, err := client.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{
					InstanceId: aws.String("i-1"), ShouldDecrementDesiredCapacity: aws.Bool(true)})
				got := awsclient.IsAnswer(err)
				assert.Truef(t, err != nil && got == tt.want, "IsAnswer(%v) = %t, want %t", err, got, tt.want)
			})
		})
	}
}

// An operator needs the action, the resource and the role that AWS names. Nobody reads the encoded part, and each renewal of the
// credentials changes the session.
func TestBriefOfADenialIsWhole(t *testing.T) {
	group := "arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:b44f55c0-a6a9-4689-8651-7a72b7c6300a:autoScalingGroupName/" +
		strings.Repeat("g", 100)
	const role, rest = "User: arn:aws:sts::123456789012:assumed-role/ca", " is not authorized to perform: "
	const user, said = role + "/1731429849551905269" + rest, role + rest
	for _, tt := range []struct{ code, message, want string }{
		{"AccessDenied", user + "autoscaling:SetDesiredCapacity on resource: " + group,
			"AccessDenied: " + said + "autoscaling:SetDesiredCapacity on resource: " + group},
		{"UnauthorizedOperation", user + "ec2:RunInstances. Encoded authorization failure message: g4oZPBqZ4",
			"UnauthorizedOperation: " + said + "ec2:RunInstances."},
		{"ExpiredToken", "", "ExpiredToken"},
		{"AccessDenied", strings.Repeat("x", 5000), "AccessDenied: " + strings.Repeat("x", 686) + "…"},
	} {
		got := awsclient.Brief(fmt.Errorf("act: %w", &smithy.GenericAPIError{Code: tt.code, Message: tt.message}))
		assert.Truef(t, got == tt.want, "got  %s\nwant %s", got, tt.want)
	}
}

func TestBriefOfAnAnswerThatIsNoXML(t *testing.T) {
	for _, status := range []int{200, 500, 503} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			inBubble(t, fakeaws.Config{}, func(t *testing.T, server *fakeaws.Server, client *awsclient.AutoScaling) {
				fault := fakeaws.Fault{Body: fakeaws.Garbled}
				if status != 200 {
					fault.Code, fault.Status = "NotImplementedError", status
				}
				server.Inject(fault)
				_, err := client.DescribeScalingActivities(t.Context(), &autoscaling.DescribeScalingActivitiesInput{})
				require.Error(t, err, "an answer that is no XML was read")
				got, want := awsclient.Brief(err), fmt.Sprintf("status %d, no readable answer", status)
				assert.Equal(t, want, got, "Brief")
			})
		})
	}
}

// Messages of scaling activities carry the same codes as errors of the SDK.
func TestErrorsAgreeWithMessages(t *testing.T) {
	file, err := os.Open("awsmessage/testdata/messages.csv")
	require.NoError(t, err)
	defer file.Close()
	records, err := csv.NewReader(file).ReadAll()
	require.NoError(t, err)
	agree := map[string]awsmessage.Class{"throttled": awsmessage.Throttle, "denied": awsmessage.Permission, "invalid": awsmessage.Configuration, "not-found": awsmessage.Configuration}
	judged := 0
	for _, r := range records[1:] {
		code := r[1]
		reason := awsclient.Reason(&smithy.GenericAPIError{Code: code, Message: "m"})
		want, ok := agree[reason]
		if !ok {
			continue
		}
		judged++
		assert.Equalf(t, want, awsmessage.Of(code, "m").Class, "%q in a message and %q as an error", code, reason)
	}
	assert.True(t, judged != 0, "no code was compared")
}

func TestCallersWithinTheWaitShareOneCall(t *testing.T) {
	for _, tt := range []struct {
		name  string
		until time.Duration // the call can act
		never bool          // or it never can
		want  []int         // the callers' results
		calls [][]int
	}{
		{name: "the third caller comes after the first call", want: []int{1, 1, 2}, calls: [][]int{{0, 1}, {2}}},
		{name: "the call cannot act yet", until: 500 * time.Millisecond, want: []int{1, 1, 1}, calls: [][]int{{0, 1, 2}}},
		{name: "the calls cannot act", never: true, want: []int{1, 1, 2}, calls: [][]int{nil, nil}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var calls [][]int
				b := awsclient.Batcher[string, int, int]{Clock: clock.RealClock{}, Call: func(_ context.Context, _ string, take func() []int) int {
					time.Sleep(tt.until)
					var taken []int
					if !tt.never {
						taken = slices.Sorted(slices.Values(take()))
					}
					mu.Lock()
					defer mu.Unlock()
					calls = append(calls, taken)
					return len(calls)
				}}
				var callers sync.WaitGroup
				for at, want := range tt.want {
					callers.Go(func() {
						time.Sleep(time.Duration(at) * 600 * time.Millisecond)
						assert.Equalf(t, want, b.Join(t.Context(), "a", time.Second, at), "Join of caller %d", at)
					})
				}
				callers.Wait()
				assert.Empty(t, cmp.Diff(tt.calls, calls))
			})
		})
	}
}
