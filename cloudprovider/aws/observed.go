package aws

import (
	"reflect"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate/fromgroup"
)

const (
	// deletedFor is how long a deleted node counts. A group that runs at weekends only is still known at the next weekend.
	deletedFor = 8 * 24 * time.Hour
	// maxDeleted is how many deleted nodes of a group count at most, the newest.
	maxDeleted = 16
)

// nodeFacts keeps facts observed on the groups' real nodes while the groups launch from the same description, and for a while after
// the last node was deleted. It keeps them in memory alone, so a new process observes the nodes that it finds. The provider's lock
// guards it.
type nodeFacts struct {
	nodes       corelisters.NodeLister // nil: nothing is ever observed
	catalogue   func() *instancetypes.Catalogue
	round       int
	forgot      time.Time // when deleted nodes were last looked through
	generations int       // given out so far
	snapshot    *group.Snapshot
	groups      map[string]*groupNodeFacts
	current     map[string]*observedNode // the nodes of the cluster, by name
}

// groupNodeFacts are the facts about the nodes of one group.
type groupNodeFacts struct {
	launch     *launchspec.LaunchSpec // the description that the next node starts from, and that the facts hold for
	since      time.Time              // when it was first seen
	generation int                    // another number for every launch description of every group
	replaced   bool                   // nodes may have started from another description
	shown      bool                   // a node has settled that seems to have started from this description
	deleted    []deletedNode          // the newest last
	// conclusion sums up all nodes, deleted ones included. Another pointer means other facts.
	conclusion *nodetemplate.Learnt
}

// deletedNode is a node that the cluster has no longer.
type deletedNode struct {
	observed *nodetemplate.Observed
	until    time.Time
}

// observedNode is one node as of its last change.
type observedNode struct {
	round      int
	node       *corev1.Node // the informer's pointer, another one after every change
	snapshot   *group.Snapshot
	settled    bool // the node as it is has nothing more to show
	group      string
	generation int
	observed   *nodetemplate.Observed // nil until the node has settled once
}

func newNodeFacts(nodes corelisters.NodeLister, catalogue func() *instancetypes.Catalogue) *nodeFacts {
	return &nodeFacts{nodes: nodes, catalogue: catalogue, groups: map[string]*groupNodeFacts{}, current: map[string]*observedNode{}}
}

// of returns the facts about the group's next node, or nil.
func (f *nodeFacts) of(group string) *nodetemplate.Learnt {
	if known := f.groups[group]; known != nil {
		return known.conclusion
	}
	return nil
}

// learn looks at the nodes that changed since the last call, and reports whether any facts changed.
func (f *nodeFacts) learn(s *group.Snapshot, now time.Time) (news bool) {
	if f.nodes == nil {
		return false
	}
	nodes, err := f.nodes.List(labels.Everything())
	if err != nil {
		return false // the lister reads a cache, and the core's own listing fails too
	}
	changed := map[string]bool{}
	f.follow(s, now, changed)
	f.round++
	for _, node := range nodes {
		f.look(node, s, now, changed)
	}
	f.retire(now, changed)
	f.forget(now, changed)
	return f.sumUp(changed)
}

// follow starts a new generation for each group whose launch description changed.
func (f *nodeFacts) follow(s *group.Snapshot, now time.Time, changed map[string]bool) {
	if f.snapshot == s {
		return
	}
	f.snapshot = s
	for _, g := range s.Groups() {
		known := f.groups[g.Name]
		switch {
		case known == nil:
			f.generations++
			f.groups[g.Name] = &groupNodeFacts{launch: g.LaunchSpec, since: now, generation: f.generations}
		case known.launch == g.LaunchSpec, sameDescription(known.launch, g.LaunchSpec):
			known.launch = g.LaunchSpec
		default:
			f.generations++
			f.groups[g.Name] = &groupNodeFacts{launch: g.LaunchSpec, since: now, generation: f.generations,
				replaced: known.replaced || known.launch != nil, conclusion: known.conclusion /* until it is summed up */}
			changed[g.Name] = true
		}
	}
	for name := range f.groups {
		if s.Group(name) == nil {
			delete(f.groups, name)
		}
	}
}

// sameDescription reports whether a node that started from a may as well have started from b. Further types in b do not matter, and
// neither do facts about the image.
func sameDescription(a, b *launchspec.LaunchSpec) bool {
	if a == nil || b == nil {
		return false
	}
	left, right := *a, *b
	left.Types, left.Image, right.Types, right.Image = nil, nil, nil, nil
	return reflect.DeepEqual(left, right) && !slices.ContainsFunc(a.Types, func(t launchspec.Type) bool {
		return !slices.ContainsFunc(b.Types, func(o launchspec.Type) bool { return o.Name == t.Name })
	})
}

// look observes the node, unless it has shown everything already.
func (f *nodeFacts) look(node *corev1.Node, s *group.Snapshot, now time.Time, changed map[string]bool) {
	w := f.current[node.Name]
	if w == nil {
		w = &observedNode{}
		f.current[node.Name] = w
	}
	w.round = f.round
	if w.settled && w.node == node && (w.snapshot == s || f.belongs(w)) {
		return
	}
	id, _ := instanceID(node.Spec.ProviderID)
	instance, group := s.Instance(id)
	w.node, w.snapshot, w.settled = node, s, instance == nil
	if instance == nil {
		return
	}
	known := f.groups[group.Name]
	if w.group != group.Name || w.generation != known.generation {
		w.group, w.generation, w.observed = group.Name, known.generation, nil
	}
	if w.settled = nodetemplate.Settled(node, now); !w.settled {
		return
	}
	alike := known.startedAlike(instance, node)
	known.shown = known.shown || alike || node.CreationTimestamp.After(known.since)
	if !alike {
		return
	}
	if observed := nodetemplate.Observe(node, instance.Type, now); !observed.Equal(w.observed) {
		w.observed, changed[group.Name] = observed, true
	}
}

// belongs reports whether the node's group still launches from the description that it had when the node was observed.
func (f *nodeFacts) belongs(w *observedNode) bool {
	known := f.groups[w.group]
	return known != nil && known.generation == w.generation
}

// outdated reports whether nothing is known about nodes that started from the group's launch description, only about nodes from an earlier
// one. While the cluster has such an earlier node, it still counts.
func (f *nodeFacts) outdated(group string, now time.Time) bool {
	known := f.groups[group]
	if known == nil || !known.replaced || known.shown {
		return false
	}
	for _, w := range f.current {
		if w.group == group && nodetemplate.Settled(w.node, now) {
			return false
		}
	}
	return true
}

// startedAlike reports whether the node started from the description of the next node. Where AWS does not name the instance's launch
// template, the node must be younger than our knowledge of the description.
func (k *groupNodeFacts) startedAlike(instance *group.Instance, node *corev1.Node) bool {
	if k.launch == nil || len(k.launch.Origins) == 0 {
		return false
	}
	if instance.Origin == "" {
		return node.CreationTimestamp.After(k.since)
	}
	return slices.Contains(k.launch.Origins, instance.Origin)
}

// retire keeps the facts about deleted nodes.
func (f *nodeFacts) retire(now time.Time, changed map[string]bool) {
	for name, w := range f.current {
		if w.round == f.round {
			continue
		}
		delete(f.current, name)
		if w.observed != nil && f.belongs(w) {
			f.groups[w.group].remember(w.observed, now)
			changed[w.group] = true
		}
	}
}

// remember adds a deleted node, in place of an earlier one of its name.
func (k *groupNodeFacts) remember(o *nodetemplate.Observed, now time.Time) {
	k.deleted = slices.DeleteFunc(k.deleted, func(r deletedNode) bool { return r.observed.Node == o.Node })
	k.deleted = append(k.deleted, deletedNode{observed: o, until: now.Add(deletedFor)})
	k.deleted = k.deleted[max(0, len(k.deleted)-maxDeleted):]
}

// forget drops, once an hour, nodes that were deleted too long ago.
func (f *nodeFacts) forget(now time.Time, changed map[string]bool) {
	if now.Sub(f.forgot) < time.Hour {
		return
	}
	f.forgot = now
	for group, k := range f.groups {
		for len(k.deleted) > 0 && now.After(k.deleted[0].until) {
			k.deleted, changed[group] = k.deleted[1:], true
		}
	}
}

// sumUp draws the conclusions for the groups that changed, and reports whether any is news.
func (f *nodeFacts) sumUp(changed map[string]bool) (news bool) {
	present := map[string][]*nodetemplate.Observed{}
	for _, w := range f.current {
		if changed[w.group] && w.observed != nil && f.belongs(w) {
			present[w.group] = append(present[w.group], w.observed)
		}
	}
	for group := range changed {
		known := f.groups[group]
		if known == nil {
			continue
		}
		var deleted []*nodetemplate.Observed
		for _, r := range known.deleted {
			if w := f.current[r.observed.Node]; w == nil || w.observed == nil {
				deleted = append(deleted, r.observed)
			}
		}
		sum := nodetemplate.Conclude(present[group], deleted, fromgroup.Facts(known.launch, f.catalogue()))
		if !sum.Equal(known.conclusion) {
			known.conclusion, news = sum, true
		}
	}
	return news
}

// Outdated reports whether all observed nodes of an Auto Scaling group started from another launch description than the next
// node will.
func (p *Provider) Outdated(group string) bool {
	p.changing.Lock()
	defer p.changing.Unlock()
	return p.facts.outdated(group, p.clock.Now())
}
