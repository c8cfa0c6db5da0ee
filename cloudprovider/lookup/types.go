package lookup

import (
	"context"
	"sync"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/typelookup"
)

// typesRetry is how long a type is left alone that EC2 does not know.
const typesRetry = 10 * time.Minute

// Types keeps the catalogue, and adds the types in use that it lacks: one call per hundred. Safe for concurrent use.
type Types struct {
	background
	api typelookup.API // nil: the catalogue is all there is

	mu     sync.Mutex
	known  *instancetypes.Catalogue
	wanted []string
	asked  map[string]time.Time
}

// NewTypes makes a Types over a catalogue. A nil api never adds to it.
func NewTypes(api typelookup.API, known *instancetypes.Catalogue, c clock.Clock) *Types {
	t := &Types{api: api, known: known, asked: map[string]time.Time{}}
	t.background = newBackground(c, t.lookUp, api != nil, "Could not look up instance types, the groups that launch only unknown ones stay out",
		"allow ec2:DescribeInstanceTypes, or bring a list with --asg-instance-types-file")
	t.every = typesRetry
	return t
}

// Catalogue returns all known types. The pointer stays the same until a type is added.
func (t *Types) Catalogue() *instancetypes.Catalogue {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.known
}

// Want replaces the list of types in use about which nothing is known.
func (t *Types) Want(names []string) {
	t.mu.Lock()
	t.wanted = names
	t.mu.Unlock()
	if len(names) > 0 {
		t.request()
	}
}

// due returns the wanted types that nobody has asked for lately, and counts them as asked for.
func (t *Types) due() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	var due []string
	for _, name := range t.wanted {
		if at, ok := t.asked[name]; !ok || now.Sub(at) >= typesRetry {
			t.asked[name] = now
			due = append(due, name)
		}
	}
	return due
}

func (t *Types) lookUp(ctx context.Context) error {
	names := t.due()
	if len(names) == 0 {
		return errNotAsked
	}
	found, err := typelookup.Describe(ctx, t.api, names)
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
