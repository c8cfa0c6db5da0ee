package aws

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

const (
	// maxTypesPerCall is the largest page of DescribeInstanceTypes (EC2 API reference, MaxResults).
	maxTypesPerCall = 100
	// typeLookupRetry is how long a type that could not be looked up is left alone.
	typeLookupRetry   = 10 * time.Minute
	typeLookupTimeout = 30 * time.Second
)

// InstanceTypesAPI is the one EC2 call that looks up instance types.
type InstanceTypesAPI interface {
	DescribeInstanceTypes(context.Context, *ec2.DescribeInstanceTypesInput, ...func(*ec2.Options)) (*ec2.DescribeInstanceTypesOutput, error)
}

// typeLookup keeps the catalogue, and in the background adds to it the types in use that it lacks: one call per hundred.
// It is safe for concurrent use.
type typeLookup struct {
	api   InstanceTypesAPI // nil: the catalogue is all there is
	clock clock.Clock
	wake  chan struct{}

	mu     sync.Mutex
	known  *instancetypes.Catalogue
	wanted []string
	asked  map[string]time.Time
}

func newTypeLookup(api InstanceTypesAPI, known *instancetypes.Catalogue, c clock.Clock) *typeLookup {
	return &typeLookup{api: api, known: known, clock: c, wake: make(chan struct{}, 1), asked: map[string]time.Time{}}
}

func (t *typeLookup) catalogue() *instancetypes.Catalogue {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.known
}

// want says which types are in use and unknown.
func (t *typeLookup) want(names []string) {
	t.mu.Lock()
	t.wanted = names
	t.mu.Unlock()
	if len(names) > 0 {
		select {
		case t.wake <- struct{}{}:
		default:
		}
	}
}

func (t *typeLookup) run(ctx context.Context) {
	if t.api == nil {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.wake:
		case <-t.clock.After(typeLookupRetry):
		}
		t.lookUp(ctx)
	}
}

// due are the wanted types that have not been asked for lately.
func (t *typeLookup) due() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	var due []string
	for _, name := range t.wanted {
		if at, ok := t.asked[name]; !ok || now.Sub(at) >= typeLookupRetry {
			t.asked[name] = now
			due = append(due, name)
		}
	}
	return due
}

func (t *typeLookup) lookUp(ctx context.Context) {
	for names := range slices.Chunk(t.due(), maxTypesPerCall) {
		found, err := t.describe(ctx, names)
		if err != nil {
			if ctx.Err() == nil {
				klog.FromContext(ctx).Error(err, "Could not look up instance types, the groups that launch them stay out",
					"types", names, "reason", awsclient.Reason(err), "remedy", "allow ec2:DescribeInstanceTypes, or use types of the built-in list")
			}
			continue
		}
		if len(found) == 0 {
			continue
		}
		t.mu.Lock()
		t.known = t.known.With(found...)
		t.mu.Unlock()
		klog.FromContext(ctx).V(1).Info("Looked up instance types that the built-in list lacks", "asked", names, "found", len(found))
	}
}

// describe asks by filter: asked by name, one type the region lacks would fail all the others.
func (t *typeLookup) describe(ctx context.Context, names []string) ([]instancetypes.Type, error) {
	ctx, cancel := context.WithTimeout(ctx, typeLookupTimeout)
	defer cancel()
	pages := ec2.NewDescribeInstanceTypesPaginator(t.api, &ec2.DescribeInstanceTypesInput{
		Filters:    []ec2types.Filter{{Name: awssdk.String("instance-type"), Values: names}},
		MaxResults: awssdk.Int32(maxTypesPerCall),
	})
	var found []instancetypes.Type
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("describe instance types: %w", err)
		}
		for _, info := range page.InstanceTypes {
			found = append(found, typeFrom(info))
		}
	}
	return found, nil
}
