package aws

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

const (
	// departedPerCall is the most values a filter of DescribeInstances takes (EC2 API reference, Filters).
	departedPerCall = 200
	// departedFor is how long it is remembered that an instance is gone, or tried to find out: its node is long deleted by then.
	departedFor = time.Hour
)

// instancesAPI is the EC2 call that tells a terminated instance from a detached one.
type instancesAPI interface {
	DescribeInstances(context.Context, *ec2.DescribeInstancesInput, ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error)
}

// departures finds out, in the background and by one call per 200, what became of instances that are in their group no
// longer: terminated, or detached and still running. Safe for concurrent use.
type departures struct {
	api   instancesAPI // nil: nothing is found out
	clock clock.Clock
	wake  chan struct{}

	mu      sync.Mutex
	missing map[string]time.Time // instances of which it is not known yet, and since when; guarded by mu
	gone    map[string]time.Time // since when it is known; guarded by mu

	refused string // why the last look-up failed; of the goroutine that looks up
}

func newDepartures(api instancesAPI, c clock.Clock) *departures {
	return &departures{api: api, clock: c, wake: make(chan struct{}, 1), missing: map[string]time.Time{}, gone: map[string]time.Time{}}
}

// compare takes in which instances have left between two Snapshots.
func (d *departures) compare(before, now *asg.Snapshot) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, g := range before.Groups() {
		if now.Group(g.Name) == g {
			continue
		}
		for _, i := range g.Instances {
			if now.GroupOf(i.ID) != nil {
				continue
			}
			if i.Lifecycle.Leaving() {
				d.gone[i.ID] = d.clock.Now()
			} else {
				d.missing[i.ID] = d.clock.Now()
			}
		}
	}
	old := func(_ string, since time.Time) bool { return d.clock.Since(since) > departedFor }
	maps.DeleteFunc(d.gone, old)
	maps.DeleteFunc(d.missing, old)
	if len(d.missing) > 0 {
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
}

// has reports whether the instance is known to be gone.
func (d *departures) has(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, gone := d.gone[id]
	return gone
}

func (d *departures) run(ctx context.Context) {
	if d.api == nil {
		return
	}
	lookUps(ctx, d.clock, d.wake, 0, d.lookUp)
}

// lookUp asks EC2 for the missing instances. The error is of one that it could not find out about.
func (d *departures) lookUp(ctx context.Context) error {
	d.mu.Lock()
	ids := slices.Sorted(maps.Keys(d.missing))
	d.mu.Unlock()
	for some := range slices.Chunk(ids, departedPerCall) {
		running, err := d.running(ctx, some)
		if err != nil {
			if why := awsclient.Brief(err); ctx.Err() == nil && why != d.refused {
				d.refused = why
				klog.FromContext(ctx).Info("Could not see what became of instances that left their groups", "instances", len(some),
					"err", why, "remedy", "allow ec2:DescribeInstances; until then their nodes are left to Kubernetes")
			}
			return err
		}
		d.refused = ""
		now := d.clock.Now()
		d.mu.Lock()
		for _, id := range some {
			delete(d.missing, id)
			if !running[id] {
				d.gone[id] = now
			}
		}
		d.mu.Unlock()
	}
	return nil
}

// running are those of the instances that EC2 has and does not end.
func (d *departures) running(ctx context.Context, ids []string) (map[string]bool, error) {
	running := map[string]bool{}
	pages := ec2.NewDescribeInstancesPaginator(d.api, &ec2.DescribeInstancesInput{
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
