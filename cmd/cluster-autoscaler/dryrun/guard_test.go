package dryrun

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/middleware"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsclients"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// ignored is the end of a dry run that a test does not look at.
func ignored(error) {}

func guarded(t *testing.T, config fakeaws.Config, g *Guard) (*awsclient.Clients, *fakeaws.Server) {
	t.Helper()
	awsclients.SetEnvironment()
	server := awsclients.Serve(t, config)
	options := awsclients.Options(server)
	options.Middleware = []func(*middleware.Stack) error{g.AWS}
	clients, err := awsclient.New(t.Context(), options)
	require.NoError(t, err)
	return clients, server
}

func TestNoWriteReachesAWS(t *testing.T) {
	g := New(ignored)
	clients, server := guarded(t, fakeaws.Config{Region: "us-east-1"}, g)
	ctx, group := t.Context(), awssdk.String("web")
	launched, err := clients.AutoScaling.LaunchInstances(ctx, &autoscaling.LaunchInstancesInput{AutoScalingGroupName: group,
		RequestedCapacity: awssdk.Int32(2), AvailabilityZones: []string{"us-east-1a"}, ClientToken: awssdk.String("token")})
	require.NoError(t, err)
	require.Len(t, launched.Instances, 1)
	assert.Truef(t, len(launched.Instances[0].InstanceIds) == 2 && awssdk.ToString(launched.Instances[0].AvailabilityZone) == "us-east-1a",
		"a launch of two instances: %+v", launched)
	_, err = clients.AutoScaling.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: group, DesiredCapacity: awssdk.Int32(3)})
	assert.NoError(t, err, "a new desired capacity")
	for name, write := range map[string]func() error{
		"terminate": func() error {
			_, err := clients.AutoScaling.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{
				InstanceId: awssdk.String("i-1"), ShouldDecrementDesiredCapacity: awssdk.Bool(true)})
			return err
		},
		"delete a message": func() error {
			_, err := clients.SQS.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: awssdk.String("q"), ReceiptHandle: awssdk.String("r")})
			return err
		},
		"receive messages": func() error {
			_, err := clients.SQS.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: awssdk.String("q")})
			return err
		},
	} {
		err := write()
		assert.Equalf(t, "DryRunOperation", awsclient.Code(err), "%s: %v, want a refusal", name, err)
	}
	_, err = clients.AutoScaling.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{})
	assert.NoError(t, err, "a read")
	assert.Empty(t, cmp.Diff(map[string]int{"DescribeAutoScalingGroups": 1}, server.Calls()), "calls of AWS (-want +got)")
	assert.Equal(t, 5, len(g.Answered()), "writes were answered")
}

func TestGroupsThatCannotBeReadEndDryRun(t *testing.T) {
	ctx, fail := context.WithCancelCause(t.Context())
	clients, server := guarded(t, fakeaws.Config{Region: "us-east-1"}, New(fail))
	server.Inject(fakeaws.Fault{Code: "AccessDenied"})
	_, err := clients.AutoScaling.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{})
	assert.Error(t, err)
	assert.Equal(t, "AccessDenied", awsclient.Code(context.Cause(ctx)), "the dry run ends with")
}

// apiServer answers like one, and keeps the requests.
type apiServer struct {
	mu       sync.Mutex
	requests []string
	status   int
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if s.status != 0 {
		w.WriteHeader(s.status)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Node", "apiVersion": "v1", "metadata": map[string]any{"name": "n"}})
}

func client(t *testing.T, s *apiServer, g *Guard) *kubernetes.Clientset {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	client, err := kubernetes.NewForConfig(g.Kube(&rest.Config{Host: server.URL}))
	require.NoError(t, err)
	return client
}

func TestNoWriteReachesAPIServer(t *testing.T) {
	ctx, s, g := t.Context(), &apiServer{}, New(ignored)
	core := client(t, s, g).CoreV1()
	node, err := core.Nodes().Get(ctx, "n", metav1.GetOptions{})
	require.NoError(t, err)
	node.Spec.Unschedulable = true
	updated, err := core.Nodes().Update(ctx, node, metav1.UpdateOptions{})
	assert.Truef(t, err == nil && updated.Spec.Unschedulable, "an update: %+v, %v", updated, err)
	repeated, err := core.Events("default").Patch(ctx, "e", types.StrategicMergePatchType, []byte(`{"count":2}`), metav1.PatchOptions{})
	assert.Truef(t, err == nil && repeated.Count == 2, "an event that repeats: %+v, %v", repeated, err)
	event := &corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: "e", Namespace: "default"}, Reason: "TriggeredScaleUp"}
	created, err := core.Events("default").Create(ctx, event, metav1.CreateOptions{})
	assert.Truef(t, err == nil && created.Reason == event.Reason, "an event: %+v, %v", created, err)
	eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "default"}}
	assert.NoError(t, core.Pods("default").EvictV1(ctx, eviction), "an eviction")
	assert.NoError(t, core.Pods("default").Delete(ctx, "p", metav1.DeleteOptions{}), "a deletion")
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.requests, func(r string) bool { return !strings.HasPrefix(r, "GET ") })
	assert.Truef(t, i < 0 && len(s.requests) == 1, "the API server got %q, want one read", s.requests)
	want := []string{"PUT /api/v1/nodes/n", "PATCH /api/v1/namespaces/default/events/e", "POST /api/v1/namespaces/default/events",
		"POST /api/v1/namespaces/default/pods/p/eviction", "DELETE /api/v1/namespaces/default/pods/p"}
	assert.Empty(t, cmp.Diff(want, g.Answered()), "writes that were answered (-want +got)")
}

func TestRefusedReadEndsDryRun(t *testing.T) {
	for name, tt := range map[string]struct {
		options metav1.ListOptions
		ends    bool
	}{
		"a list":                     {metav1.ListOptions{}, true},
		"whether a kind can be read": {metav1.ListOptions{Limit: 1}, false},
	} {
		ctx, fail := context.WithCancelCause(t.Context())
		_, _ = client(t, &apiServer{status: http.StatusForbidden}, New(fail)).CoreV1().Nodes().List(ctx, tt.options)
		assert.Equalf(t, tt.ends, context.Cause(ctx) != nil, "%s: the dry run ends with %v", name, context.Cause(ctx))
	}
}

func TestWritesOfAShadowAreRefusedAndCounted(t *testing.T) {
	g := Refusing("default", "ours")
	clients, server := guarded(t, fakeaws.Config{Region: "us-east-1"}, g)
	_, err := clients.AutoScaling.SetDesiredCapacity(t.Context(), &autoscaling.SetDesiredCapacityInput{
		AutoScalingGroupName: awssdk.String("web"), DesiredCapacity: awssdk.Int32(3)})
	assert.ErrorContains(t, err, "a shadow writes nothing: SetDesiredCapacity", "a new desired capacity, want a refusal")
	_, err = clients.AutoScaling.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{})
	assert.NoError(t, err, "a read")
	assert.NotContains(t, server.Calls(), "SetDesiredCapacity", "calls of AWS")

	var asked []string
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method)
		w.WriteHeader(http.StatusForbidden) // which ends a dry run, and no shadow
	}))
	t.Cleanup(api.Close)
	client, err := kubernetes.NewForConfig(g.Kube(&rest.Config{Host: api.URL + "/k8s/clusters/c-x"})) // as Rancher has it
	require.NoError(t, err)
	for name, write := range map[string]func() error{
		"create": func() error {
			_, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{}, metav1.CreateOptions{})
			return err
		},
		"patch": func() error {
			_, err := client.CoreV1().Nodes().Patch(t.Context(), "n", types.MergePatchType, []byte(`{}`), metav1.PatchOptions{})
			return err
		},
		"another lease": func() error {
			_, err := client.CoordinationV1().Leases("default").Update(t.Context(), &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "theirs"}}, metav1.UpdateOptions{})
			return err
		},
		"a name like events": func() error {
			return client.CoreV1().Pods("events").Delete(t.Context(), "events", metav1.DeleteOptions{})
		},
		"delete": func() error { return client.CoreV1().Pods("default").Delete(t.Context(), "p", metav1.DeleteOptions{}) },
	} {
		assert.ErrorContainsf(t, write(), "a shadow writes nothing", "%s, want a refusal", name)
	}
	_, err = client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	assert.Error(t, err, "the API server's own refusal was hidden")
	_, err = client.CoreV1().Events("default").Create(t.Context(), &corev1.Event{}, metav1.CreateOptions{})
	assert.Truef(t, err == nil, "an event: %v, want it dropped", err)
	again, err := client.CoreV1().Events("default").Patch(t.Context(), "e", types.StrategicMergePatchType, []byte(`{"count":2}`), metav1.PatchOptions{})
	assert.Truef(t, err == nil && again.Count == 2, "an event that repeats: %+v, %v, want it dropped", again, err)
	_, err = client.CoordinationV1().Leases("default").Create(t.Context(), &coordinationv1.Lease{}, metav1.CreateOptions{})
	assert.Error(t, err, "the lease did not reach the API server")
	assert.Empty(t, cmp.Diff([]string{"GET", "POST"}, asked), "requests that reached the API server (-want +got)")
	assert.Equal(t, 6, len(g.Answered()), "writes counted")
}
