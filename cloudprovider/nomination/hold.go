package nomination

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodeready"
)

// AnnotationHeld is on a node that is cordoned until its pods are nominated. Its value is since when.
const AnnotationHeld = "asg-autoscaler/held-for-nominations"

const (
	// holdPause is the time from the registration of a node until it is cordoned, in which others register, too. kube-scheduler tries pods that
	// a cordoned node refuses again with each node that registers, because that is not cordoned yet.
	holdPause = time.Second
	// nodeHold is how long a node that could take its pods waits for other held nodes, for each of them, and longestHold bounds it.
	// kube-scheduler tries all waiting pods once for nodes that are released together, and again and again for nodes that are not.
	nodeHold, longestHold = 100 * time.Millisecond, 10 * time.Second
	// deviceTime is how long a Ready node is held for a device that its pods need, or for a start-up taint.
	deviceTime = 10 * time.Second
	// longestStorm bounds the wait for calm, and nominateTime the wait for the nominations, before nodes are released.
	longestStorm, nominateTime = 3 * time.Second, 5 * time.Second
	// releasePause is the time before a failed release is tried again. At the end of the process it is tried lastTries times.
	releasePause = time.Second
	lastTries    = 3
	// holdLook is how often held nodes are looked at if nothing changes.
	holdLook = time.Second
	// slowWrite is how long a write takes if the API server has too much to do. busyTime is for how long that counts.
	slowWrite, busyTime = 8 * time.Second, 20 * time.Second
)

// held is a node that is cordoned until its pods are nominated.
type held struct {
	ready time.Time // since when the node is Ready, zero for not yet
	takes time.Time // since when it would take its pods, zero for not yet
	open  bool      // its pods are being nominated
}

// Held reports whether a node is cordoned until its pods are nominated. It counts as one that is not Ready.
func Held(node *corev1.Node) bool {
	_, held := node.Annotations[AnnotationHeld]
	return held && node.Spec.Unschedulable
}

// hold cordons a node of n.held that has registered, unless it is Ready already or somebody has cordoned it. Pods of DaemonSets tolerate that.
func (n *Nominator) hold(ctx context.Context, name string) {
	n.mu.Lock()
	if n.busy() {
		delete(n.held, name)
		n.queueAll(name)
	}
	awaited := n.held[name] != nil
	n.mu.Unlock()
	if !awaited { // it became Ready meanwhile, or is gone
		return
	}
	held, now := false, metav1.NewTime(n.Clock.Now())
	err := n.change(ctx, name, func(node *corev1.Node) bool {
		if held = !nodeready.Is(node) && !node.Spec.Unschedulable; held {
			metav1.SetMetaDataAnnotation(&node.ObjectMeta, AnnotationHeld, now.UTC().Format(time.RFC3339))
			node.Spec.Unschedulable = true
			node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule, TimeAdded: &now})
		}
		return held
	})
	if err != nil {
		klog.FromContext(ctx).Error(err, "Could not cordon a new node until its pods are nominated, so kube-scheduler may put other pods there", "node", name)
	}
	if err != nil || !held {
		n.mu.Lock()
		delete(n.held, name)
		n.queueAll(name)
		n.mu.Unlock()
	}
	n.notify()
}

// release uncordons a node that was held. It leaves alone what somebody else has taken over.
func (n *Nominator) release(ctx context.Context, name string) error {
	return n.change(ctx, name, func(node *corev1.Node) bool {
		if !Held(node) {
			return false
		}
		delete(node.Annotations, AnnotationHeld)
		node.Spec.Unschedulable = false
		node.Spec.Taints = slices.DeleteFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeUnschedulable })
		return true
	})
}

// busy reports whether the API server has too much to do. It needs the lock.
//
// As long as many pods wait, kube-scheduler tries them with each new node, and writes what it found. An API server that cannot keep up opens the
// nodes ever later, so the pods wait ever longer. Then they get any node at once, and a few more nodes may be needed.
func (n *Nominator) busy() bool { return !n.slow.IsZero() && n.Clock.Since(n.slow) < busyTime }

func (n *Nominator) isBusy() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.busy()
}

// wrote notes a write to the API server.
func (n *Nominator) wrote(ctx context.Context, began time.Time) {
	took := n.Clock.Since(began)
	if took < slowWrite {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.busy() {
		klog.FromContext(ctx).Info("The API server is slow, so new nodes are open to all pods, and no pod is nominated", "write", took, "for", busyTime)
	}
	n.slow = n.Clock.Now()
	n.notify()
}

// change writes a node if there is a change to write. It reads the node anew if the informer's is old.
func (n *Nominator) change(ctx context.Context, name string, change func(*corev1.Node) bool) error {
	defer n.wrote(ctx, n.Clock.Now())
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	nodes := n.Client.CoreV1().Nodes()
	known := n.node(name)
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() (err error) {
		node := known
		if known = nil; node == nil {
			if node, err = nodes.Get(ctx, name, metav1.GetOptions{}); err != nil {
				return err
			}
		}
		if node = node.DeepCopy(); change(node) {
			_, err = nodes.Update(ctx, node, metav1.UpdateOptions{})
		}
		return err
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// adoptHeld takes up the nodes that an earlier leader held, and returns their names.
func (n *Nominator) adoptHeld() (names []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, object := range n.Nodes.GetStore().List() {
		if node, ok := object.(*corev1.Node); ok && Held(node) {
			n.held[node.Name] = &held{}
			names = append(names, node.Name)
		}
	}
	return names
}

// releaseHeld releases held nodes. It begins with the nodes of an earlier leader. Nodes that would take their pods are released together,
// once these are nominated. When ctx ends, it releases all nodes and returns.
func (n *Nominator) releaseHeld(ctx context.Context, earlier []string) {
	n.releaseAll(ctx, earlier)
	for ctx.Err() == nil {
		if _, pause := n.due(); pause > 0 {
			n.wait(ctx, pause)
			continue
		}
		n.awaitCalm(ctx)
		nodes, _ := n.due() // others may have followed
		n.releaseInTurns(ctx, nodes)
	}
	for range lastTries {
		n.releaseAll(context.WithoutCancel(ctx), n.allHeld())
	}
}

func (n *Nominator) allHeld() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Sorted(maps.Keys(n.held))
}

// due returns the held nodes that would take their pods, and a pause if there are none or others may follow soon.
func (n *Nominator) due() (due []string, pause time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.Clock.Now()
	first := now
	for name, h := range n.held {
		node := n.node(name)
		if node == nil || nodeready.Is(node) && !Held(node) { // it is gone, or somebody has uncordoned it
			delete(n.held, name)
			n.queueAll(name)
			continue
		}
		if nodeready.Is(node) && h.ready.IsZero() {
			h.ready = now
		}
		if h.takes.IsZero() && nodeready.Is(node) && (n.takesAll(node) || now.Sub(h.ready) >= deviceTime) {
			h.takes = now
		}
		if h.takes.IsZero() {
			continue
		}
		due = append(due, name)
		if h.takes.Before(first) {
			first = h.takes
		}
	}
	switch {
	case len(due) == 0:
		return nil, holdLook
	case len(due) == len(n.held), n.busy():
		return due, 0
	}
	return due, min(time.Duration(len(n.held))*nodeHold, longestHold) - now.Sub(first)
}

// takesAll reports whether the held node would take all pods that are planned for it. It needs the lock.
func (n *Nominator) takesAll(node *corev1.Node) bool {
	for uid := range n.on[node.Name] {
		if pod := n.podOf(uid); pod != nil && !takes(node, pod) {
			return false
		}
	}
	return true
}

// open has the pods of held nodes nominated.
func (n *Nominator) open(nodes []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, name := range nodes {
		if h := n.held[name]; h != nil {
			h.open = true
		}
		n.queueAll(name)
	}
}

// releaseAll releases nodes side by side. Nodes that it could not release stay in n.held.
func (n *Nominator) releaseAll(ctx context.Context, nodes []string) {
	var work sync.WaitGroup
	for _, name := range nodes {
		work.Go(func() {
			if err := n.release(ctx, name); err != nil {
				klog.FromContext(ctx).Error(err, "Could not uncordon a new node, trying again", "node", name, "pause", releasePause)
				n.wait(ctx, releasePause)
				return
			}
			n.mu.Lock()
			delete(n.held, name)
			n.mu.Unlock()
		})
	}
	work.Wait()
}

// awaitCalm waits until kube-scheduler has tried no planned pod for a moment.
func (n *Nominator) awaitCalm(ctx context.Context) {
	n.await(ctx, longestStorm, func() bool { return n.Clock.Since(n.tried) >= calm })
}

// awaitNominations waits until all pods that are planned for the nodes and still wait are nominated.
func (n *Nominator) awaitNominations(ctx context.Context, nodes []string) {
	n.await(ctx, nominateTime, func() bool {
		for _, name := range nodes {
			if slices.ContainsFunc(n.waitingFor(name), func(pod *corev1.Pod) bool { return pod.Status.NominatedNodeName != name }) {
				return false
			}
		}
		return true
	})
}

// await waits for a condition, which is looked at under the lock, for a limited time. It does not wait while the API server is slow.
func (n *Nominator) await(ctx context.Context, limit time.Duration, so func() bool) {
	deadline := n.Clock.Now().Add(limit)
	for ctx.Err() == nil && n.Clock.Now().Before(deadline) {
		n.mu.Lock()
		done := n.busy() || so()
		n.mu.Unlock()
		if done {
			return
		}
		n.wait(ctx, calm/2)
	}
}

// wait waits until a target or a held node changes, for a limited time.
func (n *Nominator) wait(ctx context.Context, limit time.Duration) {
	timer := n.Clock.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-n.changed:
	case <-timer.C():
	}
}

// notify wakes wait.
func (n *Nominator) notify() {
	select {
	case n.changed <- struct{}{}:
	default:
	}
}

// waitingFor returns the pods that are planned for the node and still wait. It needs the lock.
func (n *Nominator) waitingFor(node string) (pods []*corev1.Pod) {
	for uid := range n.on[node] {
		if pod := n.podOf(uid); pod != nil && pod.Spec.NodeName == "" {
			pods = append(pods, pod)
		}
	}
	return pods
}

// podOf returns the pod of a target, or nil. It needs the lock.
func (n *Nominator) podOf(uid types.UID) *corev1.Pod {
	t := n.targets[uid]
	return n.pod(t.namespace, t.name, uid)
}
