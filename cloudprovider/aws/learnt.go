package aws

import (
	"reflect"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// lessons keep what the groups' real nodes have shown, for as long as the groups launch from the same description: also when
// the last node is gone. They are kept in memory alone, so that a new process learns from the nodes it finds. Used under the
// provider's lock.
type lessons struct {
	nodes     corelisters.NodeLister // nil: nothing is ever learnt
	round     int
	editions  int // given out so far
	snapshot  *asg.Snapshot
	groups    map[string]*lesson
	witnesses map[string]*witness // the nodes there are, by name
}

// lesson is what is known of one group.
type lesson struct {
	launch   *asg.Launch          // what the next node starts from; what its nodes show holds for it alone
	since    time.Time            // when that was first seen
	edition  int                  // one for every launch of every group
	replaced bool                 // nodes may have started from another before
	shown    bool                 // a node has settled that seems to have started from this one
	past     *nodetemplate.Learnt // of nodes that are gone
	// learnt is what all nodes tell together, those that are gone included. Another pointer means other facts.
	learnt *nodetemplate.Learnt
}

// witness is one node as last looked at.
type witness struct {
	round    int
	node     *corev1.Node // as the informer keeps it: another pointer after every change
	snapshot *asg.Snapshot
	settled  bool // nothing more is to be had from the node as it is
	group    string
	edition  int
	learnt   *nodetemplate.Learnt // nil until it has been settled once
}

func newLessons(nodes corelisters.NodeLister) *lessons {
	return &lessons{nodes: nodes, groups: map[string]*lesson{}, witnesses: map[string]*witness{}}
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
	l.retire()
	for name := range changed {
		news = l.sumUp(name) || news
	}
	return news
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
			l.groups[g.Name] = &lesson{launch: g.Launch, since: now, edition: l.editions}
		case known.launch == g.Launch:
		case sameDescription(known.launch, g.Launch):
			known.launch = g.Launch
		default:
			l.editions++
			l.groups[g.Name] = &lesson{launch: g.Launch, since: now, edition: l.editions,
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
func sameDescription(a, b *asg.Launch) bool {
	if a == nil || b == nil {
		return false
	}
	left, right := *a, *b
	left.Types, left.Image, right.Types, right.Image = nil, nil, nil, nil
	return reflect.DeepEqual(left, right) && !slices.ContainsFunc(a.Types, func(t asg.LaunchType) bool {
		return !slices.ContainsFunc(b.Types, func(o asg.LaunchType) bool { return o.Name == t.Name })
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
		w.group, w.edition, w.learnt = group.Name, known.edition, nil
	}
	if w.settled = nodetemplate.Settled(node, now); !w.settled {
		return
	}
	alike := known.startedAlike(instance, node)
	known.shown = known.shown || alike || node.CreationTimestamp.After(known.since)
	if !alike {
		return
	}
	if learnt := nodetemplate.Learn(node, instance.Type); !learnt.Equal(w.learnt) {
		w.learnt, changed[group.Name] = learnt, true
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

// retire keeps what the nodes have told that are gone.
func (l *lessons) retire() {
	for name, w := range l.witnesses {
		if w.round == l.round {
			continue
		}
		delete(l.witnesses, name)
		if l.belongs(w) {
			known := l.groups[w.group]
			known.past = nodetemplate.Together(known.past, w.learnt)
		}
	}
}

// sumUp puts together what is known of the group, and reports whether that is news.
func (l *lessons) sumUp(group string) (news bool) {
	known := l.groups[group]
	if known == nil {
		return false
	}
	all := []*nodetemplate.Learnt{known.past}
	for _, w := range l.witnesses {
		if w.group == group && l.belongs(w) {
			all = append(all, w.learnt)
		}
	}
	sum := nodetemplate.Together(all...)
	if sum.Equal(known.learnt) {
		return false
	}
	known.learnt = sum
	return true
}
