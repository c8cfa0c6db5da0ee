package aws

import (
	"context"
	"time"

	coreinformers "k8s.io/client-go/informers/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/lookup"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// The parts that tests look at alone.
var (
	CNIOf        = cniOf
	NewNodeFacts = newNodeFacts
)

// Limits of observed node facts.
const (
	DeletedFor = deletedFor
	MaxDeleted = maxDeleted
)

// Times of a removal.
const (
	RemovalPoll  = removalPoll
	VolumesShown = volumesShown
)

// Types that tests look at alone.
type (
	GroupNodeFacts  = groupNodeFacts
	RegisteredNodes = registeredNodes
)

// Learn looks at the nodes that changed.
func (f *nodeFacts) Learn(s *group.Snapshot, now time.Time) bool { return f.learn(s, now) }

// Outdated reports whether a node that was made then is no model for the group's next node.
func (f *nodeFacts) Outdated(group string, made time.Time) bool { return f.outdated(group, made) }

// HideNodes leaves the next Learn no node that an earlier one saw.
func (f *nodeFacts) HideNodes() { f.current = map[string]*observedNode{} }

// Of returns the facts about the group's next node, or nil.
func (f *nodeFacts) Of(group string) *nodetemplate.Learnt { return f.of(group) }

// Groups counts the known groups.
func (f *nodeFacts) Groups() int { return len(f.groups) }

// Remember adds a deleted node.
func (k *groupNodeFacts) Remember(o *nodetemplate.Observed, now time.Time) { k.remember(o, now) }

// Deleted returns the names of the deleted nodes, the newest last.
func (k *groupNodeFacts) Deleted() (names []string) {
	for _, d := range k.deleted {
		names = append(names, d.observed.Node)
	}
	return names
}

// Follow watches the nodes.
func (r *registeredNodes) Follow(nodes coreinformers.NodeInformer) { r.follow(nodes) }

// Read lists the nodes if they changed.
func (r *registeredNodes) Read() { r.read() }

// IDs returns the provider IDs by instance.
func (r *registeredNodes) IDs() map[string]string { return r.ids() }

// NodeLister returns the lister of registered nodes.
func (p *Provider) NodeLister() corelisters.NodeLister { return p.registered.nodes }

// SetNodes replaces the registered nodes. The next loop lists them.
func (p *Provider) SetNodes(nodes cache.Indexer) {
	p.registered.nodes, p.registered.index = corelisters.NewNodeLister(nodes), nodes
	p.registered.changed.Store(true)
}

// Adopt takes a group as a write has left it into the current view.
func (p *Provider) Adopt(name string) { p.adopt(name) }

// TakeOfferings replaces the look-up of offerings by another Provider's, for the same types.
func (p *Provider) TakeOfferings(other *Provider, types ...string) {
	p.offers = other.offers
	p.offers.Want(types...)
}

// OfferedIn returns the types that a zone offers, or may offer for all that is known.
func OfferedIn(zone string, known *lookup.Answers[[]string], types []launchspec.Type) []launchspec.Type {
	return (&View{basis: basis{offered: known}}).offeredIn(zone, types)
}

// LookUpTerminated asks EC2 about the instances that left their groups.
func (p *Provider) LookUpTerminated(ctx context.Context) { p.terminated.Once(ctx) }

// WhyNotJoining is the rule by which the reason is chosen.
var WhyNotJoining = whyNotJoining

// WantStarts has Run ask AWS about instances that do not become nodes.
func (p *Provider) WantStarts(instances ...string) { p.starts.Want(instances...) }

// Start returns what AWS answered.
func (p *Provider) Start(instance string) (lookup.Start, bool) { return p.starts.Known().Of(instance) }
