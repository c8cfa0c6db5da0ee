package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
	lab "github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

// preparing bounds the wait for a world: a control plane, and up to 50,000 pods that run before the peer starts.
const preparing = time.Hour

// bindings is how many pods the bench binds at a time.
const bindings = 16

// A world is a control plane with an emulated account, and with the workload that is there before the peer.
type world struct {
	env    *lab.Env
	groups []group
	dir    string
}

// newWorld returns once all nodes of the account are Ready and all pods of the case run that come before the peer.
func (b *bench) newWorld(ctx context.Context, c benchCase, dir string) (_ *world, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, preparing, errors.New("the cluster takes too long to prepare"))
	defer cancel()
	if err := os.MkdirAll(filepath.Join(dir, "lab"), 0o755); err != nil {
		return nil, err
	}
	w := &world{groups: c.groups(), dir: dir}
	start := time.Now()
	if w.env, err = lab.Start(ctx, lab.Options{Dir: filepath.Join(dir, "lab"), Binary: b.ours, Progress: b.progress,
		LeaseRenewal: c.leases, DefaultRates: c.defaultRates}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if err := w.env.StartAWS(ctx, account(w.groups)); err != nil {
		return nil, err
	}
	nodes := 1 // of the system
	for _, g := range w.groups {
		nodes += g.nodes
	}
	if err := w.count(ctx, start, lab.NodeReady, nodes); err != nil {
		return nil, err
	}
	if err := w.create(ctx, c.before...); err != nil {
		return nil, err
	}
	for _, s := range c.before {
		if err := w.bind(ctx, s); err != nil {
			return nil, err
		}
	}
	return w, w.count(ctx, start, lab.PodRunning, total(c.before))
}

// count waits until so many moments of the kind have come since the start.
func (w *world) count(ctx context.Context, start time.Time, kind lab.Kind, want int) error {
	now := 0
	err := harness.Until(ctx, max(pause, time.Duration(want)*time.Millisecond/5), func() (bool, error) {
		now = lab.Count(w.env.Timeline.Since(start), kind)
		return now >= want, nil
	})
	if err != nil {
		return fmt.Errorf("%d of %d times %q: %w", now, want, kind, err)
	}
	return nil
}

func (w *world) close() error { return w.env.Close() }

// podSet is a number of pods alike, which the nodes of one group can take, or of all groups if none is named.
type podSet struct {
	name  string
	count int
	cpu   string
	gpu   bool
	group string
	bound bool // by the bench
}

// byBench is the scheduler of pods that the bench binds.
const byBench = "bench"

func total(sets []podSet) (n int) {
	for _, s := range sets {
		n += s.count
	}
	return n
}

// create creates each set as a ReplicaSet.
func (w *world) create(ctx context.Context, sets ...podSet) error {
	for _, s := range sets {
		_, err := w.env.Cluster.Client().AppsV1().ReplicaSets(metav1.NamespaceDefault).Create(ctx, s.replicaSet(), metav1.CreateOptions{})
		if err != nil {
			return err
		}
	}
	return nil
}

// bind binds the pods of a set to the nodes of its group, as many to each. kube-scheduler would look at all nodes for each pod, and bind 30 pods a second
// to 5,000 nodes on two processors.
func (w *world) bind(ctx context.Context, s podSet) error {
	core := w.env.Cluster.Client().CoreV1()
	nodes, err := core.Nodes().List(ctx, metav1.ListOptions{LabelSelector: groupLabel + "=" + s.group})
	if err != nil {
		return err
	}
	var pods []corev1.Pod
	err = harness.Until(ctx, pause, func() (bool, error) {
		list, err := core.Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: "app=" + s.name})
		if err == nil {
			pods = list.Items
		}
		return len(pods) == s.count, err
	})
	if err != nil {
		return fmt.Errorf("%d of %d pods %q exist: %w", len(pods), s.count, s.name, err)
	}
	var work errgroup.Group
	work.SetLimit(bindings)
	for n, pod := range pods {
		work.Go(func() error {
			return core.Pods(pod.Namespace).Bind(ctx, &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, UID: pod.UID},
				Target: corev1.ObjectReference{Kind: "Node", Name: nodes.Items[n%len(nodes.Items)].Name}}, metav1.CreateOptions{})
		})
	}
	return work.Wait()
}

// remove deletes the pods of all sets.
func (w *world) remove(ctx context.Context) error {
	return w.env.Cluster.Client().AppsV1().ReplicaSets(metav1.NamespaceDefault).DeleteCollection(ctx,
		metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}, metav1.ListOptions{})
}

func (s podSet) replicaSet() *appsv1.ReplicaSet {
	requests := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(s.cpu), corev1.ResourceMemory: resource.MustParse("64Mi")}
	limits := corev1.ResourceList{}
	if s.gpu {
		requests[gpuResource], limits[gpuResource] = resource.MustParse("1"), resource.MustParse("1")
	}
	spec := corev1.PodSpec{TerminationGracePeriodSeconds: new(int64(0)), Containers: []corev1.Container{{
		Name: "app", Image: "app", Resources: corev1.ResourceRequirements{Requests: requests, Limits: limits},
	}}}
	if s.group != "" {
		spec.NodeSelector = map[string]string{groupLabel: s.group}
	}
	if s.bound {
		spec.SchedulerName = byBench
	}
	labels := map[string]string{"app": s.name}
	return &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: s.name}, Spec: appsv1.ReplicaSetSpec{
		Replicas: new(int32(s.count)), Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec},
	}}
}
