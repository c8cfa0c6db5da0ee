package aws

import (
	"context"
	"sync"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/typelookup"
)

// typeLookupRetry is how long a type is left alone that EC2 does not know.
const typeLookupRetry = 10 * time.Minute

// typeLookup keeps the catalogue, and in the background adds to it the types in use that it lacks: one call per hundred.
// It is safe for concurrent use.
type typeLookup struct {
	api   typelookup.API // nil: the catalogue is all there is
	clock clock.Clock
	wake  chan struct{}
	said  string // why types could not be looked up; of the goroutine that looks up

	mu     sync.Mutex
	known  *instancetypes.Catalogue
	wanted []string
	asked  map[string]time.Time
}

func newTypeLookup(api typelookup.API, known *instancetypes.Catalogue, c clock.Clock) *typeLookup {
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
	lookUps(ctx, t.clock, t.wake, typeLookupRetry, t.lookUp)
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

func (t *typeLookup) lookUp(ctx context.Context) error {
	names := t.due()
	if len(names) == 0 {
		return nil
	}
	found, err := typelookup.Describe(ctx, t.api, names)
	if err == nil {
		t.said = ""
	} else if why := awsclient.Reason(err); ctx.Err() == nil && why != t.said {
		t.said = why
		klog.FromContext(ctx).Info("Could not look up instance types, the groups that launch only them stay out", "types", names,
			"err", awsclient.Brief(err), "remedy", "allow ec2:DescribeInstanceTypes, or bring a list with --aws-instance-types-file")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		for _, name := range names {
			delete(t.asked, name)
		}
	}
	if len(found) > 0 {
		t.known = t.known.With(found...)
		klog.FromContext(ctx).V(1).Info("Looked up instance types that the built-in list lacks", "asked", names, "found", len(found))
	}
	return err
}
