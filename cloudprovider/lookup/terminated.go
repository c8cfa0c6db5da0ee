package lookup

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
)

const (
	// instancesPerCall is the most values a filter of DescribeInstances takes (EC2 API reference, Filters).
	instancesPerCall = 200
	// terminatedAge is how long an instance that left its group is remembered. Its node is long deleted by then.
	terminatedAge = time.Hour
)

// InstancesAPI is the one EC2 call that Terminated makes.
type InstancesAPI interface {
	DescribeInstances(context.Context, *ec2.DescribeInstancesInput, ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error)
}

// Terminated finds out whether instances that left their groups were terminated, or detached and still run: one call per 200. Safe
// for concurrent use.
type Terminated struct {
	background
	api InstancesAPI // nil: nobody is asked

	mu         sync.Mutex
	open       map[string]time.Time // instances whose fate is unknown, since when
	terminated map[string]time.Time // since when that is known
}

// NewTerminated makes a Terminated. With a nil api it knows only of instances that left their group while they were terminating.
func NewTerminated(api InstancesAPI, c clock.Clock) *Terminated {
	t := &Terminated{api: api, open: map[string]time.Time{}, terminated: map[string]time.Time{}}
	t.background = newBackground(c, t.lookUp, api != nil, "Could not see whether instances that left their groups were terminated",
		"allow ec2:DescribeInstances; until then their nodes are left to Kubernetes")
	return t
}

// Compare takes in which instances left their groups between two Snapshots.
func (t *Terminated) Compare(before, now *asg.Snapshot) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, g := range before.Groups() {
		if now.Group(g.Name) == g {
			continue
		}
		for _, i := range g.Instances {
			if now.GroupOf(i.ID) != nil {
				continue
			}
			if i.Lifecycle.Leaving() {
				t.terminated[i.ID] = t.clock.Now()
			} else {
				t.open[i.ID] = t.clock.Now()
			}
		}
	}
	old := func(_ string, since time.Time) bool { return t.clock.Since(since) > terminatedAge }
	maps.DeleteFunc(t.terminated, old)
	maps.DeleteFunc(t.open, old)
	if len(t.open) > 0 {
		t.request()
	}
}

// Has reports whether the instance is known to be terminated.
func (t *Terminated) Has(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, terminated := t.terminated[id]
	return terminated
}

func (t *Terminated) lookUp(ctx context.Context) error {
	t.mu.Lock()
	ids := slices.Sorted(maps.Keys(t.open))
	t.mu.Unlock()
	if len(ids) == 0 {
		return errNotAsked
	}
	for some := range slices.Chunk(ids, instancesPerCall) {
		running, err := t.running(ctx, some)
		if err != nil {
			return err
		}
		now := t.clock.Now()
		t.mu.Lock()
		for _, id := range some {
			delete(t.open, id)
			if !running[id] {
				t.terminated[id] = now
			}
		}
		t.mu.Unlock()
	}
	return nil
}

// running returns the instances that EC2 has and does not terminate.
func (t *Terminated) running(ctx context.Context, ids []string) (map[string]bool, error) {
	running := map[string]bool{}
	pages := ec2.NewDescribeInstancesPaginator(t.api, &ec2.DescribeInstancesInput{
		Filters: []ec2types.Filter{{Name: awssdk.String("instance-id"), Values: ids}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				if s := i.State; s == nil || s.Name != ec2types.InstanceStateNameTerminated && s.Name != ec2types.InstanceStateNameShuttingDown {
					running[awssdk.ToString(i.InstanceId)] = true
				}
			}
		}
	}
	return running, nil
}
