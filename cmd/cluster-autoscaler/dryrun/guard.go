package dryrun

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"path"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	"k8s.io/client-go/rest"
)

// Guard keeps the writes of one dry run. It is safe for concurrent use.
type Guard struct {
	failed  context.CancelCauseFunc
	refuses bool   // see Refusing
	lease   string // the path of the one lease that may be written

	launches, launched atomic.Int64 // calls that ask for instances, and instances

	mu       sync.Mutex
	answered []string
}

const mostNamed = 10_000

// Refusing makes a Guard that refuses every write except to the process's own lease, in a process that goes on reading and in which nobody should
// try one.
func Refusing(namespace, lease string) *Guard {
	return &Guard{refuses: true, lease: "/apis/coordination.k8s.io/v1/namespaces/" + namespace + "/leases/" + lease, failed: func(error) {}}
}

// New makes a Guard. It calls failed once a read fails without which a dry run decides nothing.
func New(failed context.CancelCauseFunc) *Guard { return &Guard{failed: failed} }

// Answered names the writes that the Guard answered itself or refused, in their order.
func (g *Guard) Answered() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.answered...)
}

func (g *Guard) Launches() int64 { return g.launches.Load() }

// answer notes a write. The error refuses it.
func (g *Guard) answer(write string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answered = append(g.answered[:min(len(g.answered), mostNamed-1)], write)
	if write == "LaunchInstances" || write == "SetDesiredCapacity" {
		g.launches.Add(1)
	}
	if !g.refuses {
		return nil
	}
	return fmt.Errorf("a shadow writes nothing: %s was refused within the process", write)
}

// AWS puts the Guard outermost into the middleware of a client of AWS, so that no write is even put together.
func (g *Guard) AWS(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("DryRun",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
			middleware.InitializeOutput, middleware.Metadata, error) {
			operation := middleware.GetOperationName(ctx)
			if !reads.MatchString(operation) {
				if err := g.answer(operation); err != nil {
					return middleware.InitializeOutput{}, middleware.Metadata{}, err
				}
				out, err := g.carriedOut(operation, in.Parameters)
				return middleware.InitializeOutput{Result: out}, middleware.Metadata{}, err
			}
			out, metadata, err := next.HandleInitialize(ctx, in)
			if err != nil && operation == "DescribeAutoScalingGroups" && ctx.Err() == nil {
				g.failed(fmt.Errorf("read the Auto Scaling groups: %w", err))
			}
			return out, metadata, err
		}), middleware.Before)
}

// reads are known by their names, which AWS keeps to in the services that the autoscaler uses.
var reads = regexp.MustCompile("^(Describe|List|Get)")

// carriedOut is AWS's answer to a write that succeeds. A write without an answer here is refused.
func (g *Guard) carriedOut(operation string, in any) (any, error) {
	switch in := in.(type) {
	case *autoscaling.LaunchInstancesInput:
		return &autoscaling.LaunchInstancesOutput{AutoScalingGroupName: in.AutoScalingGroupName, ClientToken: in.ClientToken,
			Instances: []types.InstanceCollection{g.launch(in)}}, nil
	case *autoscaling.SetDesiredCapacityInput:
		return &autoscaling.SetDesiredCapacityOutput{}, nil
	}
	return nil, &smithy.GenericAPIError{Code: "DryRunOperation", Message: operation + " is not carried out in a dry run", Fault: smithy.FaultClient}
}

// launch makes up the instances of a launch. Their type stays unknown, because AWS chooses it.
func (g *Guard) launch(in *autoscaling.LaunchInstancesInput) types.InstanceCollection {
	instances := types.InstanceCollection{}
	if len(in.AvailabilityZones) > 0 {
		instances.AvailabilityZone = awssdk.String(in.AvailabilityZones[0])
	}
	for range awssdk.ToInt32(in.RequestedCapacity) {
		instances.InstanceIds = append(instances.InstanceIds, fmt.Sprintf("i-dryrun%011d", g.launched.Add(1)))
	}
	return instances
}

// Kube returns the configuration of an API server with the Guard around its transport.
func (g *Guard) Kube(config *rest.Config) *rest.Config {
	guarded := rest.CopyConfig(config)
	guarded.Wrap(func(next http.RoundTripper) http.RoundTripper { return transport{g, next} })
	return guarded
}

// Paths are compared from their end, because the API server may stand behind a path of its own.
var events = regexp.MustCompile(`/(api|apis/events\.k8s\.io)/v1/namespaces/[^/]+/events(/[^/]+)?$`)

type transport struct {
	guard *Guard
	next  http.RoundTripper
}

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	switch {
	case r.Method == http.MethodGet:
		return t.read(r)
	case t.guard.refuses && (strings.HasSuffix(r.URL.Path, t.guard.lease) ||
		r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, path.Dir(t.guard.lease))):
		return t.next.RoundTrip(r)
	case t.guard.refuses && events.MatchString(r.URL.Path): // each part writes some
		return echo(r)
	}
	if err := t.guard.answer(r.Method + " " + r.URL.Path); err != nil {
		return nil, err
	}
	if r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch {
		return echo(r)
	}
	if r.Body != nil {
		_ = r.Body.Close()
	}
	return response(r, "application/json", []byte(`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success"}`)), nil
}

// read ends the dry run where the reader may not read. The questions of informers.SwitchOff, whose answer may be no, ask for one object.
func (t transport) read(r *http.Request) (*http.Response, error) {
	answer, err := t.next.RoundTrip(r)
	switch {
	case err != nil && r.Context().Err() == nil:
		t.guard.failed(fmt.Errorf("read from the API server: %w", err))
	case err == nil && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden) && r.URL.Query().Get("limit") != "1":
		t.guard.failed(fmt.Errorf("the API server refuses to show %s: %s", r.URL.Path, answer.Status))
	}
	return answer, err
}

func echo(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }()
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	contentType := r.Header.Get("Content-Type")
	if r.Method == http.MethodPatch {
		contentType = "application/json" // no client reads the type of a patch
	}
	return response(r, contentType, body), nil
}

func response(r *http.Request, contentType string, body []byte) *http.Response {
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: r,
	}
}
