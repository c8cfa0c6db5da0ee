package fakeaws

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/workqueue"
)

// AttachGroups publishes the Nodes of these groups to another cluster than the one that Attach names, as where two clusters
// share an account. Nodes of theirs that the first cluster has leave it. It returns as Attach does, and wants that called first.
func (s *Server) AttachGroups(client kubernetes.Interface, groups ...string) error {
	s.mu.Lock()
	attached := s.nodes != nil
	s.mu.Unlock()
	if !attached {
		return errors.New("attach groups to a further cluster: attach the first cluster before")
	}
	p := &publisher{
		client: client, timeline: s.timeline, events: s.events, nodes: map[string]*publishedNode{},
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[string](50*time.Millisecond, 2*time.Second)),
	}
	if err := p.start(s); err != nil {
		return fmt.Errorf("attach groups to a further cluster: %w", err)
	}
	return s.account.attachGroups(p, groups)
}

// attachGroups hands the Nodes of the groups over to another sink.
func (a *account) attachGroups(nodes nodeSink, names []string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range names {
		if a.groups[name] == nil {
			return fmt.Errorf("attach groups to a further cluster: no group %q", name)
		}
	}
	rest := a.nodes
	a.nodes = &clusters{first: rest, further: nodes, groups: names, moved: map[string]bool{}}
	for _, g := range a.sortedGroups() {
		for _, i := range g.instances {
			if i.nodeDue && slices.Contains(names, g.Name) {
				rest.remove(i.nodeName)
				a.nodes.register(a.nodeSpec(i))
			}
		}
	}
	return nil
}

// clusters send the Nodes of some groups to a further cluster, and all others to the first. The account's mutex guards it.
type clusters struct {
	first, further nodeSink
	groups         []string
	moved          map[string]bool // names of the Nodes of the further cluster
}

func (c *clusters) register(spec nodeSpec) {
	if !slices.Contains(c.groups, spec.origin.Group) {
		c.first.register(spec)
		return
	}
	c.moved[spec.node.Name] = true
	c.further.register(spec)
}

func (c *clusters) remove(name string) {
	if c.moved[name] {
		delete(c.moved, name)
		c.further.remove(name)
		return
	}
	c.first.remove(name)
}
