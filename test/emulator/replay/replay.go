package replay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go/middleware"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/accountcheck"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsclients"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// Read reads a recording.
func Read(t testing.TB, path string) []accountcheck.Exchange {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var all []accountcheck.Exchange
	for line := range bytes.Lines(text) {
		var e accountcheck.Exchange
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%s: %v: %s", path, err, line)
		}
		all = append(all, e)
	}
	return all
}

// Differences sends the calls of a recording to an emulator of that configuration, in order, and returns a line for each difference of the
// answers. Calls that nothing answered are left out.
func Differences(t testing.TB, cfg fakeaws.Config, recording []accountcheck.Exchange) []string {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_MAX_ATTEMPTS": "1", "AWS_RETRY_MODE": "standard",
	} {
		t.Setenv(name, value)
	}
	server, err := fakeaws.Start(t.Context(), cfg)
	require.NoError(t, err)
	defer server.Close()
	path := filepath.Join(t.TempDir(), "replayed.jsonl")
	recorder, err := accountcheck.Record(path)
	require.NoError(t, err)
	options := awsclients.Options(server)
	options.Middleware = []func(*middleware.Stack) error{recorder.Middleware}
	clients, err := awsclient.New(t.Context(), options)
	require.NoError(t, err)
	unanswered := func(e accountcheck.Exchange) bool { return e.Code == "" && e.Answer == nil }
	recording = slices.DeleteFunc(slices.Clone(recording), unanswered)
	all := ec2.New(ec2.Options{Region: clients.Region, BaseEndpoint: aws.String(server.URL()), APIOptions: options.Middleware,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""), RetryMaxAttempts: 1})
	r := replay{clients: clients, ec2: all, server: server, ids: map[string]string{}}
	for _, e := range recording {
		r.send(t, e)
	}
	require.NoError(t, recorder.Close())
	replayed := Read(t, path)
	require.Truef(t, len(replayed) == len(recording), "%d calls of %d were made", len(replayed), len(recording))
	var found []string
	for n, e := range recording {
		for _, difference := range compare(e, replayed[n]) {
			found = append(found, fmt.Sprintf("call %d, %s %s: %s", n+1, e.Service, e.Action, difference))
		}
	}
	return found
}

// replay makes recorded calls.
type replay struct {
	clients *awsclient.Clients
	ec2     *ec2.Client // with all calls, a few of which the clients make
	server  *fakeaws.Server
	ids     map[string]string // the emulator's IDs of instances, by recorded placeholder
}

func (r replay) client(service string) any {
	switch service {
	case "Auto Scaling":
		return r.clients.AutoScaling.Client
	case "EC2":
		return r.ec2
	case "EKS":
		return r.clients.EKS
	case "SQS":
		return r.clients.SQS
	}
	return r.clients.ZonalShifts
}

// send makes one call, while the emulator is as it was for the recorded one.
func (r replay) send(t testing.TB, e accountcheck.Exchange) {
	method := reflect.ValueOf(r.client(e.Service)).MethodByName(e.Action)
	require.Truef(t, method.IsValid(), "the SDK has no call %q of %q", e.Action, e.Service)
	input := reflect.New(method.Type().In(1).Elem())
	into(t, r.known(e.Request), input.Interface())
	defer r.bring(t, e)()
	results := method.Call([]reflect.Value{reflect.ValueOf(t.Context()), input})
	if results[1].IsNil() {
		var answer any
		into(t, results[0].Interface(), &answer)
		r.learn(e.Answer, answer)
	}
}

// bring makes the emulator answer as AWS did where that depends on something else than the account: a permission, a rate, a capacity.
func (r replay) bring(t testing.TB, e accountcheck.Exchange) (undo func()) {
	fault := fakeaws.Fault{Action: e.Action, Times: 1}
	switch {
	case slices.Contains([]string{"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}, e.Code):
		fault.Code = "AccessDenied"
	case awsmessage.OfCode(e.Code) == awsmessage.Throttle:
		fault.Code = "Throttling"
	case awsmessage.OfCode(e.Code) == awsmessage.Permission, e.Code == "DryRunOperation", e.Status >= 500:
		fault.Code = e.Code
	case e.Code == "InvalidAction", e.Code == "UnknownOperationException":
		r.server.SetLacks(fakeaws.Lacks{Actions: []string{e.Action}})
		return func() { r.server.SetLacks(fakeaws.Lacks{}) }
	}
	if fault.Code != "" {
		r.server.Inject(fault)
	}
	var answer struct {
		Errors []struct{ ErrorCode, ErrorMessage, InstanceType, AvailabilityZone string }
	}
	if e.Action == "LaunchInstances" && e.Code == "" {
		into(t, e.Answer, &answer)
	}
	for _, failure := range answer.Errors {
		r.server.AddShortage(fakeaws.Shortage{
			InstanceType: failure.InstanceType, Zone: failure.AvailabilityZone, Code: failure.ErrorCode, Message: failure.ErrorMessage,
		})
	}
	return func() { r.server.ClearFaults() }
}

var instanceID = regexp.MustCompile(`^i-[0-9a-f]{8,}$`)

// learn notes the emulator's IDs of recorded instances.
func (r replay) learn(recorded, answer any) {
	switch recorded := recorded.(type) {
	case string:
		if id, ok := answer.(string); ok && instanceID.MatchString(recorded) && r.ids[recorded] == "" {
			r.ids[recorded] = id
		}
	case []any:
		answers, _ := answer.([]any)
		for n := range min(len(recorded), len(answers)) {
			r.learn(recorded[n], answers[n])
		}
	case map[string]any:
		members, _ := answer.(map[string]any)
		for name, value := range recorded {
			r.learn(value, members[name])
		}
	}
}

// known is a request with the emulator's IDs.
func (r replay) known(request any) any {
	switch request := request.(type) {
	case string:
		if id := r.ids[request]; id != "" {
			return id
		}
	case []any:
		out := make([]any, len(request))
		for n, element := range request {
			out[n] = r.known(element)
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for name, value := range request {
			out[name] = r.known(value)
		}
		return out
	}
	return request
}

// into converts what a recording has into a structure with the same names.
func into(t testing.TB, from, to any) {
	text, err := json.Marshal(from)
	if err == nil {
		err = json.Unmarshal(text, to)
	}
	require.NoErrorf(t, err, "%s", text)
}
