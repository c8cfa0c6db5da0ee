package aws

import (
	"cmp"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate/fromgroup"
)

const (
	// A deleted node counts for deletedFor. A group that runs at weekends only is still known at the next weekend.
	deletedFor = 8 * 24 * time.Hour
	maxDeleted = 16 // bounds the deleted nodes of a group that count, the newest
)

// nodeFacts keeps facts observed on the groups' real nodes while the groups launch from the same description, and for a while after the
// last node was deleted. It keeps them in memory alone, so a new process observes the nodes that it finds. The provider's lock guards it.
type nodeFacts struct {
	nodes     corelisters.NodeLister
	catalogue func() *instancetypes.Catalogue
	round     int
	snapshot  *group.Snapshot
	groups    map[string]*groupNodeFacts
	current   map[string]*observedNode // the nodes of the cluster, by name
}

// groupNodeFacts are the facts about the nodes of one group. Another launch description makes others.
type groupNodeFacts struct {
	group      string
	launch     *launchspec.LaunchSpec // the description that the next node starts from, and that the facts hold for
	since      time.Time              // when it was first seen, or when the first known node that started from it was made
	replaced   bool                   // nodes may have started from another description
	former     bool                   // the cluster has a settled node that was made before since
	deleted    []deletedNode          // the newest last
	changed    bool                   // since they were summed up
	conclusion *nodetemplate.Learnt   // sums up all nodes, deleted ones included. Another pointer means other facts
}

// deletedNode is a node that the cluster has no longer.
type deletedNode struct {
	observed *nodetemplate.Observed
	until    time.Time
}

// observedNode is one node as of its last change.
type observedNode struct {
	round    int
	node     *corev1.Node // the informer's pointer, another one after every change
	snapshot *group.Snapshot
	settled  bool                   // the node as it is has nothing more to show
	of       *groupNodeFacts        // nil until a reading has its instance
	observed *nodetemplate.Observed // nil until the node has settled once
}

func newNodeFacts(nodes corelisters.NodeLister, catalogue func() *instancetypes.Catalogue) *nodeFacts {
	return &nodeFacts{nodes: nodes, catalogue: catalogue, groups: map[string]*groupNodeFacts{}, current: map[string]*observedNode{}}
}

// of returns the facts about the group's next node, or nil.
func (f *nodeFacts) of(group string) *nodetemplate.Learnt {
	return cmp.Or(f.groups[group], &groupNodeFacts{}).conclusion
}

// learn looks at the nodes that changed since the last call, and reports whether any facts changed.
func (f *nodeFacts) learn(s *group.Snapshot, now time.Time) (news bool) {
	nodes, _ := f.nodes.List(labels.Everything()) // the lister reads a cache
	f.follow(s, now)
	f.round++
	for _, node := range nodes {
		f.look(node, s, now)
	}
	f.retire(now)
	f.findFormer(now)
	f.forget(now)
	return f.sumUp()
}

// follow begins new facts for each group whose launch description changed.
func (f *nodeFacts) follow(s *group.Snapshot, now time.Time) {
	if f.snapshot == s {
		return
	}
	f.snapshot = s
	for _, g := range s.Groups() {
		switch known := f.groups[g.Name]; {
		case known == nil:
			f.groups[g.Name] = &groupNodeFacts{group: g.Name, launch: g.LaunchSpec, since: now}
		case known.launch == g.LaunchSpec:
		case sameDescription(known.launch, g.LaunchSpec):
			if g.LaunchSpec.NextImages != nil || known.launch.NextImages == nil { // else the images that are known count on
				known.launch = g.LaunchSpec
			}
		default:
			f.groups[g.Name] = &groupNodeFacts{group: g.Name, launch: g.LaunchSpec, since: now, changed: true,
				replaced: known.replaced || known.launch != nil, conclusion: known.conclusion /* until it is summed up */}
		}
	}
	maps.DeleteFunc(f.groups, func(name string, _ *groupNodeFacts) bool { // a group whose tags are gone for a moment may come back
		return s.Group(name) == nil && !slices.ContainsFunc(s.Foreign(), func(g *group.Group) bool { return g.Name == name })
	})
}

// sameDescription reports whether a node from a may as well be one from b. Further types in b and facts about the image do not matter.
func sameDescription(a, b *launchspec.LaunchSpec) bool {
	if a == nil || b == nil {
		return false
	}
	left, right := *a, *b
	for _, l := range []*launchspec.LaunchSpec{&left, &right} {
		l.Types, l.Image, l.Others = nil, nil, slices.Clone(l.Others)
		for i := range l.Others {
			l.Others[i].Image = nil
		}
	}
	return launchspec.SameLaunch(&left, &right) && !slices.ContainsFunc(a.Types, func(t launchspec.Type) bool {
		return !slices.ContainsFunc(b.Types, func(o launchspec.Type) bool { return o.Name == t.Name })
	})
}

// look observes the node, unless it has shown everything already.
func (f *nodeFacts) look(node *corev1.Node, s *group.Snapshot, now time.Time) {
	w := f.current[node.Name]
	if w == nil {
		w = &observedNode{}
		f.current[node.Name] = w
	}
	w.round = f.round
	if w.settled && w.node == node && (w.snapshot == s || f.belongs(w)) {
		w.snapshot = s // an older one would stay in memory
		return
	}
	instance, group := s.Instance(nodemeta.InstanceOf(node))
	w.node, w.snapshot, w.settled = node, s, instance == nil
	if instance == nil {
		return
	}
	known := f.groups[group.Name]
	if w.of != known {
		w.of, w.observed = known, nil
	}
	if w.settled = nodetemplate.Settled(node, now); !w.settled || !known.startedAlike(instance, node) {
		return
	}
	if made := node.CreationTimestamp.Time; made.Before(known.since) {
		known.since = made
	}
	if observed := nodetemplate.Observe(node, instance.Type, now); !observed.Equal(w.observed) {
		w.observed, known.changed = observed, true
	}
}

// belongs reports whether the node's group still launches from the description that it had when the node was observed.
func (f *nodeFacts) belongs(w *observedNode) bool {
	return w.of != nil && f.groups[w.of.group] == w.of
}

// outdated reports whether a node that was made then started from an earlier launch description than the group's next node will. While the
// cluster has such an earlier node, it still counts.
func (f *nodeFacts) outdated(group string, made time.Time) bool {
	known := f.groups[group]
	return known != nil && known.replaced && made.Before(known.since) && !known.former
}

// findFormer finds the groups of which a node may have started from an earlier description, in one pass for all of them.
func (f *nodeFacts) findFormer(now time.Time) {
	for _, known := range f.groups {
		known.former = false
	}
	for _, w := range f.current {
		if w.of == nil {
			continue
		}
		known := f.groups[w.of.group] // w.of may be of the description before
		if known != nil && known.replaced && w.node.CreationTimestamp.Time.Before(known.since) && nodetemplate.Settled(w.node, now) {
			known.former = true
		}
	}
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

func (f *nodeFacts) retire(now time.Time) {
	for name, w := range f.current {
		if w.round == f.round {
			continue
		}
		delete(f.current, name)
		if w.observed != nil && f.belongs(w) {
			w.of.remember(w.observed, now)
		}
	}
}

// remember adds a deleted node, in place of an earlier one of its name.
func (k *groupNodeFacts) remember(o *nodetemplate.Observed, now time.Time) {
	k.deleted = slices.DeleteFunc(k.deleted, func(r deletedNode) bool { return r.observed.Node == o.Node })
	k.deleted = append(k.deleted, deletedNode{observed: o, until: now.Add(deletedFor)})
	k.deleted, k.changed = k.deleted[max(0, len(k.deleted)-maxDeleted):], true
}

// forget drops nodes that were deleted too long ago.
func (f *nodeFacts) forget(now time.Time) {
	for _, k := range f.groups {
		for len(k.deleted) > 0 && now.After(k.deleted[0].until) {
			k.deleted, k.changed = k.deleted[1:], true
		}
	}
}

// sumUp draws the conclusions for the groups that changed, and reports whether any is news.
func (f *nodeFacts) sumUp() (news bool) {
	present := map[*groupNodeFacts][]*nodetemplate.Observed{}
	for _, w := range f.current {
		if w.observed != nil && w.of.changed {
			present[w.of] = append(present[w.of], w.observed)
		}
	}
	for _, known := range f.groups {
		if !known.changed {
			continue
		}
		known.changed = false
		var deleted []*nodetemplate.Observed
		for _, r := range known.deleted {
			if w := f.current[r.observed.Node]; w == nil || w.observed == nil {
				deleted = append(deleted, r.observed)
			}
		}
		sum := nodetemplate.Conclude(present[known], deleted, fromgroup.Facts(known.launch, f.catalogue()))
		if !sum.Equal(known.conclusion) {
			known.conclusion, news = sum, true
		}
	}
	return news
}

// Outdated reports whether a node of an Auto Scaling group that was made then started from an earlier launch description than the next node
// will, and the cluster has no such node any more.
func (p *Provider) Outdated(group string, made time.Time) bool {
	p.changing.Lock()
	defer p.changing.Unlock()
	return p.facts.outdated(group, made)
}
