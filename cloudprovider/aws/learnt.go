package aws

import (
	"reflect"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/grouptemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

const (
	// rememberedFor is how long a node that is gone counts: a group that runs at weekends only is still known at the next.
	rememberedFor = 8 * 24 * time.Hour
	// maxRemembered is how many nodes that are gone count at most, the newest.
	maxRemembered = 16
)

// lessons keep what the groups' real nodes have shown, for as long as the groups launch from the same description: for a while
// also when the last node is gone. They are kept in memory alone, so that a new process learns from the nodes it finds. Used under
// the provider's lock.
type lessons struct {
	nodes     corelisters.NodeLister // nil: nothing is ever learnt
	catalogue func() *instancetypes.Catalogue
	round     int
	forgot    time.Time // when nodes were last looked through that are gone
	editions  int       // given out so far
	snapshot  *asg.Snapshot
	groups    map[string]*lesson
	witnesses map[string]*witness // the nodes there are, by name
}

// lesson is what is known of one group.
type lesson struct {
	launch   *launchspec.LaunchSpec // what the next node starts from; what its nodes show holds for it alone
	since    time.Time              // when that was first seen
	edition  int                    // one for every launch of every group
	replaced bool                   // nodes may have started from another before
	shown    bool                   // a node has settled that seems to have started from this one
	gone     []remembered           // nodes that are gone, the newest last
	// learnt is the conclusion from all nodes, those that are gone included. Another pointer means other facts.
	learnt *nodetemplate.Learnt
}

// remembered is a node that is gone.
type remembered struct {
	observed *nodetemplate.Observed
	until    time.Time
}

// witness is one node as last looked at.
type witness struct {
	round    int
	node     *corev1.Node // as the informer keeps it: another pointer after every change
	snapshot *asg.Snapshot
	settled  bool // nothing more is to be had from the node as it is
	group    string
	edition  int
	observed *nodetemplate.Observed // nil until it has been settled once
}

func newLessons(nodes corelisters.NodeLister, catalogue func() *instancetypes.Catalogue) *lessons {
	return &lessons{nodes: nodes, catalogue: catalogue, groups: map[string]*lesson{}, witnesses: map[string]*witness{}}
}

// of is what is known of the group's next node; nil for nothing.
func (l *lessons) of(group string) *nodetemplate.Learnt {
	if known := l.groups[group]; known != nil {
		return known.learnt
	}
	return nil
}

// learn looks at the nodes that changed since it was last called, and reports whether that taught anything.
func (l *lessons) learn(s *asg.Snapshot, now time.Time) (news bool) {
	if l.nodes == nil {
		return false
	}
	nodes, err := l.nodes.List(labels.Everything())
	if err != nil {
		return false // a lister of a cache; the core's own listing fails, too
	}
	changed := map[string]bool{}
	l.follow(s, now, changed)
	l.round++
	for _, node := range nodes {
		l.look(node, s, now, changed)
	}
	l.retire(now, changed)
	l.forget(now, changed)
	return l.sumUp(changed)
}

// follow starts anew with each group that launches from another description than before.
func (l *lessons) follow(s *asg.Snapshot, now time.Time, changed map[string]bool) {
	if l.snapshot == s {
		return
	}
	l.snapshot = s
	for _, g := range s.Groups() {
		known := l.groups[g.Name]
		switch {
		case known == nil:
			l.editions++
			l.groups[g.Name] = &lesson{launch: g.LaunchSpec, since: now, edition: l.editions}
		case known.launch == g.LaunchSpec, sameDescription(known.launch, g.LaunchSpec):
			known.launch = g.LaunchSpec
		default:
			l.editions++
			l.groups[g.Name] = &lesson{launch: g.LaunchSpec, since: now, edition: l.editions,
				replaced: known.replaced || known.launch != nil, learnt: known.learnt /* until it is summed up */}
			changed[g.Name] = true
		}
	}
	for name := range l.groups {
		if s.Group(name) == nil {
			delete(l.groups, name)
		}
	}
}

// sameDescription reports whether a node that was started from a may as well have been started from b. That b has further types
// does not matter, nor that more or less is known of its image.
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

// look learns from the node, if there is anything to learn that it has not taught already.
func (l *lessons) look(node *corev1.Node, s *asg.Snapshot, now time.Time, changed map[string]bool) {
	w := l.witnesses[node.Name]
	if w == nil {
		w = &witness{}
		l.witnesses[node.Name] = w
	}
	w.round = l.round
	if w.settled && w.node == node && (w.snapshot == s || l.belongs(w)) {
		return
	}
	id, _ := instanceID(node.Spec.ProviderID)
	instance, group := s.Instance(id)
	w.node, w.snapshot, w.settled = node, s, instance == nil
	if instance == nil {
		return
	}
	known := l.groups[group.Name]
	if w.group != group.Name || w.edition != known.edition {
		w.group, w.edition, w.observed = group.Name, known.edition, nil
	}
	if w.settled = nodetemplate.Settled(node, now); !w.settled {
		return
	}
	alike := known.startedAlike(instance, node)
	known.shown = known.shown || alike || node.CreationTimestamp.After(known.since)
	if !alike {
		return
	}
	if observed := nodetemplate.Observe(node, instance.Type); !observed.Equal(w.observed) {
		w.observed, changed[group.Name] = observed, true
	}
}

// belongs reports whether the group of the witness launches what it did when the witness was looked at.
func (l *lessons) belongs(w *witness) bool {
	known := l.groups[w.group]
	return known != nil && known.edition == w.edition
}

// outdated reports whether what anybody remembers of the group's nodes is of nodes that started from another description than
// the next one will. While there is such a node, it still counts.
func (l *lessons) outdated(group string, now time.Time) bool {
	known := l.groups[group]
	if known == nil || !known.replaced || known.shown {
		return false
	}
	for _, w := range l.witnesses {
		if w.group == group && nodetemplate.Settled(w.node, now) {
			return false
		}
	}
	return true
}

// refuses reports whether the figures of the node, or of a picture of one, are not what the next node of the group will have.
func (l *lessons) refuses(group string, node *corev1.Node) bool {
	known, instanceType := l.groups[group], node.Labels[corev1.LabelInstanceTypeStable]
	return known != nil && known.learnt.Refuses(node, instanceType, grouptemplate.Facts(known.launch, l.catalogue()))
}

// startedAlike reports whether the next node starts from the same description as this one. Where AWS does not say what the
// instance started from, the node must be younger than our knowledge of the description.
func (k *lesson) startedAlike(instance *asg.Instance, node *corev1.Node) bool {
	if k.launch == nil || len(k.launch.Origins) == 0 {
		return false
	}
	if instance.Origin == "" {
		return node.CreationTimestamp.After(k.since)
	}
	return slices.Contains(k.launch.Origins, instance.Origin)
}

// retire remembers the nodes that are gone.
func (l *lessons) retire(now time.Time, changed map[string]bool) {
	for name, w := range l.witnesses {
		if w.round == l.round {
			continue
		}
		delete(l.witnesses, name)
		if w.observed != nil && l.belongs(w) {
			l.groups[w.group].remember(w.observed, now)
			changed[w.group] = true
		}
	}
}

// remember adds a node that is gone, in place of an earlier one of its name.
func (k *lesson) remember(o *nodetemplate.Observed, now time.Time) {
	k.gone = slices.DeleteFunc(k.gone, func(r remembered) bool { return r.observed.Node == o.Node })
	k.gone = append(k.gone, remembered{observed: o, until: now.Add(rememberedFor)})
	k.gone = k.gone[max(0, len(k.gone)-maxRemembered):]
}

// forget drops, once an hour, the nodes that have been gone for too long.
func (l *lessons) forget(now time.Time, changed map[string]bool) {
	if now.Sub(l.forgot) < time.Hour {
		return
	}
	l.forgot = now
	for group, k := range l.groups {
		for len(k.gone) > 0 && now.After(k.gone[0].until) {
			k.gone, changed[group] = k.gone[1:], true
		}
	}
}

// sumUp concludes what is known of the groups, and reports whether that is news.
func (l *lessons) sumUp(changed map[string]bool) (news bool) {
	present := map[string][]*nodetemplate.Observed{}
	for _, w := range l.witnesses {
		if changed[w.group] && w.observed != nil && l.belongs(w) {
			present[w.group] = append(present[w.group], w.observed)
		}
	}
	for group := range changed {
		known := l.groups[group]
		if known == nil {
			continue
		}
		var gone []*nodetemplate.Observed
		for _, r := range known.gone {
			if w := l.witnesses[r.observed.Node]; w == nil || w.observed == nil {
				gone = append(gone, r.observed)
			}
		}
		sum := nodetemplate.Conclude(present[group], gone, grouptemplate.Facts(known.launch, l.catalogue()))
		if !sum.Equal(known.learnt) {
			known.learnt, news = sum, true
		}
	}
	return news
}
