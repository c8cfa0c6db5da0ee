package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

const (
	group    = "spot"
	queue    = "interruptions"
	manifest = "s0-gpu-spot-china"
	perNode  = 3
)

func main() {
	var c crowd
	flag.IntVar(&c.nodes, "nodes", 100, "spot instances that are warned at once")
	flag.IntVar(&c.pods, "pods", 0, "pods in the namespace; 0: only the pods of the warned nodes")
	flag.IntVar(&c.daemonSets, "daemonsets", 0, "DaemonSets, with a pod of each on every node")
	flag.IntVar(&c.held, "held", 0, "warned nodes with a pod whose disruption budget cannot be computed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, c, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "interruption:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, c crowd, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "asg-bench-interruption-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\nLogs are in %s", err, dir)
			return
		}
		err = os.RemoveAll(dir)
	}()
	binary, err := scenario.BuildAutoscaler(ctx, dir)
	if err != nil {
		return err
	}
	env, err := scenario.Start(ctx, scenario.Options{Dir: dir, Binary: binary, Progress: os.Stderr})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, env.Close()) }()
	if err := prepare(ctx, env, c.nodes); err != nil {
		return err
	}
	if err := c.gather(ctx, env); err != nil {
		return err
	}
	return measure(ctx, env, c, out)
}

// prepare waits until the nodes run their pods and the autoscaler reads the queue.
func prepare(ctx context.Context, env *scenario.Env, nodes int) error {
	if err := env.StartAWS(ctx, account(nodes)); err != nil {
		return err
	}
	if err := env.StartAutoscaler(ctx, manifest, "--asg-interruption-queue="+queue, "--v=2"); err != nil {
		return err
	}
	if _, err := env.Kubectl(ctx, fmt.Sprintf(web, nodes*perNode), "apply", "-f", "-"); err != nil {
		return err
	}
	return wait(ctx, 5*time.Minute, "all pods running and the queue read", func() (bool, error) {
		running, err := runningPods(ctx, env)
		if err != nil || running < nodes*perNode {
			return false, err
		}
		log, err := env.Log()
		return strings.Contains(log, "Reading the interruption queue"), err
	})
}

// measure warns all instances and prints the results.
func measure(ctx context.Context, env *scenario.Env, c crowd, out io.Writer) error {
	nodes := c.nodes
	before, ok := env.AWS.Group(group)
	if !ok || len(before.Instances) != nodes {
		return fmt.Errorf("%d instances, want %d", len(before.Instances), nodes)
	}
	watch := newWatch()
	following, stopFollowing := context.WithCancel(ctx)
	defer stopFollowing()
	if err := watch.follow(following, env); err != nil {
		return err
	}
	if err := wait(ctx, time.Minute, "every node seen", func() (bool, error) { return watch.nodes() >= nodes, nil }); err != nil {
		return err
	}
	used, err := cpuSeconds(ctx, env)
	if err != nil {
		return err
	}
	start := time.Now()
	for _, i := range before.Instances {
		if err := env.AWS.Interrupt(i.ID, 0); err != nil {
			return err
		}
	}
	var result ends
	if err := wait(ctx, 3*time.Minute, "every warned instance gone", func() (bool, error) {
		result = endsOf(env.AWS.Events(), before.Instances, c.holding, start)
		return result.left == 0, nil
	}); err != nil {
		return err
	}
	took := time.Since(start)
	usedThen, err := cpuSeconds(ctx, env)
	if err != nil {
		return err
	}
	after, _ := env.AWS.Group(group)
	cordoned := watch.cordons(start)
	if len(cordoned) < nodes {
		return fmt.Errorf("%d nodes were cordoned of %d", len(cordoned), nodes)
	}
	killed := scenario.Count(env.Timeline.Since(time.Time{}), scenario.KilledUndrained)
	fmt.Fprintf(out, "nodes warned at once      %d, with %d pods each\n", nodes, perNode)
	fmt.Fprintf(out, "in the namespace          %d pods, %d DaemonSets, %d nodes with a budget that cannot be computed\n", max(c.pods, nodes*perNode), c.daemonSets, c.held)
	fmt.Fprintf(out, "first node cordoned       %.2f s after the warnings\n", cordoned[0].Seconds())
	fmt.Fprintf(out, "last node cordoned        %.2f s\n", cordoned[nodes-1].Seconds())
	if c.held > 0 {
		fmt.Fprintf(out, "last held one terminated %.2f s, and %d of %d interrupted by EC2 before\n", result.held.last.Seconds(), result.held.taken, c.held)
	}
	fmt.Fprintf(out, "last instance terminated %.2f s, and %d interrupted by EC2 at 120 s%s\n", result.others.last.Seconds(), result.others.taken, besides(c.held))
	fmt.Fprintf(out, "CPU of the autoscaler     %.1f s, %.2f cores\n", usedThen-used, (usedThen-used)/took.Seconds())
	fmt.Fprintf(out, "ended with pods on them   %d\n", killed)
	fmt.Fprintf(out, "desired capacity          %d before, %d after\n", before.Desired, after.Desired)
	return nil
}

// ends count how the warned instances ended, without those whose budget cannot be computed.
type ends struct {
	held, others kindOfEnd
	left         int // instances that have not ended
}

type kindOfEnd struct {
	last  time.Duration // when the last one was terminated by us, after the warnings
	taken int           // instances that EC2 interrupted before we terminated them
}

func endsOf(events []fakeaws.Event, warned []fakeaws.InstanceState, holding map[string]bool, start time.Time) ends {
	nodes := map[string]string{} // by instance, while it has not ended
	for _, i := range warned {
		nodes[i.ID] = i.Node
	}
	var e ends
	for _, event := range events {
		node, there := nodes[event.Instance]
		if !there || event.Time.Before(start) {
			continue
		}
		kind := &e.others
		if holding[node] {
			kind = &e.held
		}
		switch event.Kind {
		case fakeaws.TerminateRequested:
			kind.last = event.Time.Sub(start)
		case fakeaws.Reclaimed:
			kind.taken++
		default:
			continue
		}
		delete(nodes, event.Instance)
	}
	e.left = len(nodes)
	return e
}

func besides(held int) string {
	if held == 0 {
		return ""
	}
	return ", those held left out"
}

// cpuSeconds is the autoscaler's CPU time, user and system.
func cpuSeconds(ctx context.Context, env *scenario.Env) (float64, error) {
	families, err := env.Autoscaler().Metrics(ctx)
	if err != nil {
		return 0, err
	}
	for _, m := range families["process_cpu_seconds_total"].GetMetric() {
		return m.GetCounter().GetValue(), nil
	}
	return 0, errors.New("the autoscaler does not say how much CPU it has used")
}

// watch records when nodes are cordoned.
type watch struct {
	mu   sync.Mutex
	seen map[types.UID]time.Time // by node UID, because its name may come back. The zero time: not cordoned. Guarded by mu
}

func newWatch() *watch { return &watch{seen: map[types.UID]time.Time{}} }

// follow records cordons until ctx ends. A watch that the API server breaks, as it does with slow ones, goes on where it
// stopped.
func (w *watch) follow(ctx context.Context, env *scenario.Env) error {
	nodes := env.Cluster.Client().CoreV1().Nodes()
	list, err := nodes.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for n := range list.Items {
		w.note(&list.Items[n])
	}
	watcher, err := watchtools.NewRetryWatcherWithContext(ctx, list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (apiwatch.Interface, error) {
			return nodes.Watch(ctx, options)
		},
	})
	if err != nil {
		return err
	}
	go func() {
		for event := range watcher.ResultChan() {
			if node, ok := event.Object.(*corev1.Node); ok {
				w.note(node)
			}
		}
	}()
	return nil
}

func (w *watch) note(node *corev1.Node) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !node.Spec.Unschedulable:
		w.seen[node.UID] = time.Time{}
	case w.seen[node.UID].IsZero():
		w.seen[node.UID] = time.Now()
	}
}

func (w *watch) nodes() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.seen)
}

// cordons are the times from start to each node's cordon, sorted.
func (w *watch) cordons(start time.Time) []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	var after []time.Duration
	for _, at := range w.seen {
		if !at.IsZero() {
			after = append(after, at.Sub(start))
		}
	}
	slices.Sort(after)
	return after
}

func runningPods(ctx context.Context, env *scenario.Env) (int, error) {
	pods, err := env.Cluster.Client().CoreV1().Pods("default").List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return 0, err
	}
	running := 0
	for n := range pods.Items {
		if pods.Items[n].Status.Phase == corev1.PodRunning {
			running++
		}
	}
	return running, nil
}

func wait(ctx context.Context, limit time.Duration, what string, so func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		done, err := so()
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %v: %s", limit, what)
		case <-time.After(time.Second / 4):
		}
	}
}

// account has one spot group whose nodes hold three pods each, and the queue.
func account(nodes int) fakeaws.Config {
	return fakeaws.Config{
		Region: "cn-northwest-1",
		Delays: fakeaws.Delays{Register: fakeaws.Duration(3 * time.Second)},
		LaunchTemplates: []fakeaws.LaunchTemplate{{Name: group, Versions: []fakeaws.LaunchTemplateVersion{
			{ImageID: "ami-1", InstanceType: "m5.large", Spot: true}}}},
		AutoScalingGroups: []fakeaws.AutoScalingGroup{{
			Name: group, Max: 3 * nodes, Desired: nodes, Zones: []string{"cn-northwest-1a", "cn-northwest-1b"},
			LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: group},
			Tags:           map[string]string{"k8s.io/cluster-autoscaler/enabled": "true", "k8s.io/cluster-autoscaler/eksworkshop": "owned"},
		}},
		Queues: []fakeaws.Queue{{Name: queue, Events: []string{"*"}}},
	}
}

// web is the workload, for the number of its pods.
var web = strings.TrimSpace(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: %d
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - {name: web, image: registry.example.com/web:dev, resources: {requests: {cpu: 600m, memory: 128Mi}}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: default}
spec:
  maxUnavailable: 30%%
  selector: {matchLabels: {app: web}}
`)
