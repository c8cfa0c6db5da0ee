package chaos

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

// Taints of nodes that the autoscaler is about to remove.
const (
	toBeDeletedTaint  = "ToBeDeletedByClusterAutoscaler"
	interruptionTaint = "asg-autoscaler.github.io/interruption"
)

// running returns "" once the wanted pods of every workload run on Ready nodes, and names the missing pods before.
func (r *run) running(ctx context.Context) (missing string, err error) {
	have, err := r.onReadyNodes(ctx)
	if err != nil {
		return "", err
	}
	for _, app := range r.plan.workloads() {
		if want := r.plan.Wanted()[app] + r.more[app]; have[app] != want {
			missing += fmt.Sprintf("%d of %d pods of %q run; ", have[app], want, app)
		}
	}
	return missing, nil
}

// onReadyNodes counts the pods that run on Ready nodes, by workload.
func (r *run) onReadyNodes(ctx context.Context) (map[string]int, error) {
	nodes, err := r.nodes(ctx)
	if err != nil {
		return nil, err
	}
	return r.count(ctx, func(p *corev1.Pod) bool {
		node, known := nodes[p.Spec.NodeName]
		return known && p.Status.Phase == corev1.PodRunning && nodemeta.Ready(&node)
	})
}

// count counts the pods that are not being deleted and that match, by workload.
func (r *run) count(ctx context.Context, match func(*corev1.Pod) bool) (map[string]int, error) {
	pods, err := r.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	have := map[string]int{}
	for _, p := range pods.Items {
		if p.DeletionTimestamp == nil && match(&p) {
			have[p.Labels["app"]]++
		}
	}
	return have, nil
}

// podCount counts the pods that the Deployments want, and their pods that run on Ready nodes.
func (r *run) podCount(ctx context.Context) (wanted, running int, err error) {
	have, err := r.onReadyNodes(ctx)
	if err != nil {
		return 0, 0, err
	}
	list, err := r.client.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, 0, fmt.Errorf("list workloads: %w", err)
	}
	for _, d := range list.Items {
		wanted, running = wanted+int(*d.Spec.Replicas), running+have[d.Name]
	}
	return wanted, running, nil
}

// makePods restarts kube-controller-manager if a workload has another number of pods than it wants, and reports whether one had. A lost watch
// event leaves the ReplicaSet controller waiting for a pod to come or go. It then makes and deletes none of the ReplicaSet for five minutes, and
// after that only if the ReplicaSet changes (ExpectationsTimeout in pkg/controller/controller_utils.go, read 2026-11).
func (r *run) makePods(ctx context.Context) (left bool, err error) {
	workloads, err := r.client.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, fmt.Errorf("list workloads: %w", err)
	}
	have, err := r.count(ctx, func(p *corev1.Pod) bool {
		return p.Status.Phase != corev1.PodFailed && p.Status.Phase != corev1.PodSucceeded
	})
	if err != nil {
		return false, err
	}
	if !slices.ContainsFunc(workloads.Items, func(d appsv1.Deployment) bool { return have[d.Name] != int(*d.Spec.Replicas) }) {
		return false, nil
	}
	return true, r.env.Cluster.Restart(ctx, controlplane.ControllerManagerName)
}

// atRest returns "" once every group is as it was at the start, and names the difference before. A group is at its minimum
// then, its nodes are Ready and neither tainted nor cordoned, and no node of a terminated instance is left.
func (r *run) atRest(ctx context.Context) (missing string, err error) {
	nodes, err := r.nodes(ctx)
	if err != nil {
		return "", err
	}
	if r.quiet != nil {
		r.quiet.mark(nodes)
	}
	var wrong []string
	for _, g := range r.account.AutoScalingGroups {
		state, exists := r.aws.Group(g.Name)
		if !exists || !least(state, g.Min) {
			wrong = append(wrong, fmt.Sprintf("group %q has %d instances, desired %d, want %d", g.Name, len(state.Instances), state.Desired, g.Min))
		}
		for _, i := range state.Instances {
			wrong = append(wrong, untidy(i, nodes)...)
			delete(nodes, i.Node)
		}
	}
	for name := range nodes {
		wrong = append(wrong, fmt.Sprintf("node %s has no instance", name))
	}
	if r.plan.Zonal {
		missing, err := r.viewsMissing(ctx)
		if err != nil {
			return "", err
		}
		if missing != "" {
			wrong = append(wrong, missing)
		}
	}
	return strings.Join(wrong, "; "), nil
}

// least reports whether a group has as little as it may: without any of its instances it would have less than its minimum.
func least(g fakeaws.GroupState, lower int) bool {
	members := 0
	for _, i := range g.Instances {
		members += i.Weight
	}
	for _, i := range g.Instances {
		if members-i.Weight >= lower {
			return false
		}
	}
	return members >= g.Desired
}

// untidy describes the disorder on the node of an instance that stays.
func untidy(i fakeaws.InstanceState, nodes map[string]corev1.Node) []string {
	node, joined := nodes[i.Node]
	switch {
	case !joined:
		return []string{fmt.Sprintf("instance %s has no node", i.ID)}
	case !nodemeta.Ready(&node):
		return []string{fmt.Sprintf("node %s is not Ready", i.Node)}
	case node.Spec.Unschedulable:
		return []string{fmt.Sprintf("node %s is cordoned", i.Node)}
	}
	for _, taint := range node.Spec.Taints {
		if taint.Key == toBeDeletedTaint || taint.Key == interruptionTaint {
			return []string{fmt.Sprintf("node %s is tainted for removal", i.Node)}
		}
	}
	return nil
}

// nodes are the nodes of the cluster, by name.
func (r *run) nodes(ctx context.Context) (map[string]corev1.Node, error) {
	list, err := r.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	nodes := map[string]corev1.Node{}
	for _, n := range list.Items {
		nodes[n.Name] = n
	}
	return nodes, nil
}

// overfull are the pods that are wanted when the groups are to be full: more than there may be nodes for. Pods that need a zone
// have the views of a group grow one by one, the others several at once.
var overfull = map[string]int{diskPods: volumes, pinnedPods: 2*mostOfDB - volumes + 3, webPods: 60}

// undivide makes the group unfit for scaling zone by zone, because AWS moves its instances between the zones.
func (r *run) undivide(group string) error {
	if err := r.aws.Do(fakeaws.Deed{Kind: fakeaws.ResumeProcesses, Group: group, Processes: []string{rebalance}}); err != nil {
		return err
	}
	return r.aws.Do(fakeaws.Deed{Kind: fakeaws.Rebalance, Group: group})
}

// divide reverts undivide. It leaves alone a group that does not exist at the moment.
func (r *run) divide(group string) {
	if divided(byName(r.account)[group]) {
		_ = r.aws.Suspend(group, rebalance)
	}
}

// startAnew ends every replica as an operator's roll-out does. They come back.
func (r *run) startAnew() {
	for _, one := range r.replicas {
		r.ends.Go(func() {
			if err := one.end(0, (*scenario.Autoscaler).Stop); err != nil {
				r.fault(fmt.Errorf("replica %s: %w", one.name, err))
			}
		})
	}
	r.ends.Wait()
}

// calm records the time when nothing disturbs the autoscaler any more.
type calm struct {
	since  time.Time
	logged []int64              // length of each replica's log
	marked map[string]types.UID // the nodes that were seen marked for removal, by name
}

func (r *run) beCalm() {
	r.quiet = &calm{since: time.Now(), marked: map[string]types.UID{}}
	for _, one := range r.replicas {
		r.quiet.logged = append(r.quiet.logged, one.logged())
	}
}

// mark remembers which nodes are marked for removal.
func (c *calm) mark(nodes map[string]corev1.Node) {
	for name, node := range nodes {
		if slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == toBeDeletedTaint }) {
			c.marked[name] = node.UID
		}
	}
}

// fill wants more pods than the db and the web groups may have nodes for, and waits until one of each that has several zones is
// full. The other may be without capacity. So many launches may take twice as long as a recovery.
func (r *run) fill(ctx context.Context) error {
	for _, app := range slices.Sorted(maps.Keys(overfull)) {
		if err := scale(ctx, r.client, app, overfull[app]); err != nil {
			return err
		}
	}
	_, err := r.reach(ctx, 2*r.plan.Allowance(), "not full", r.full)
	return err
}

// marksGone judges the nodes whose removal was given up.
func (r *run) marksGone(ctx context.Context) error {
	nodes, err := r.nodes(ctx)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(r.quiet.marked)) {
		if node, there := nodes[name]; there && node.UID == r.quiet.marked[name] {
			r.violated("node %s was marked for removal, although nothing disturbed us, and stays", name)
		}
	}
	return nil
}

// zonal judges the rules of zonal plans.
func (r *run) zonal(events []fakeaws.Event) {
	var all, since []string
	for n, one := range r.replicas {
		all = append(all, one.since(0))
		if r.quiet != nil {
			since = append(since, one.since(r.quiet.logged[n]))
		}
	}
	r.misplaced(events, all...)
	if r.quiet != nil {
		r.undisturbed(r.quiet.since, events, byName(r.account), since...)
	}
}

// full returns "" once a db group and a web group have as many instances as they may, and names the difference before.
func (r *run) full(ctx context.Context) (missing string, err error) {
	open := map[string]string{dbPool: "", webPods: ""}
	for _, g := range r.account.AutoScalingGroups {
		state, _ := r.aws.Group(g.Name)
		pool := g.Tags[poolTag]
		if _, waits := open[pool]; !waits || !divided(g) {
			continue
		}
		if state.Desired >= g.Max {
			delete(open, pool)
			continue
		}
		open[pool] += fmt.Sprintf("group %q has %d of %d; ", g.Name, state.Desired, g.Max)
	}
	if missing = open[dbPool] + open[webPods]; missing != "" {
		return missing, nil
	}
	return r.viewsMissing(ctx)
}

// viewsMissing returns the differences between the autoscaler's node groups and the account's.
func (r *run) viewsMissing(ctx context.Context) (missing string, err error) {
	status, err := r.client.CoreV1().ConfigMaps(systemNamespace).Get(ctx, statusName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "no status yet", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the status: %w", err)
	}
	var seen clusterStatus
	if err := yaml.Unmarshal([]byte(status.Data["status"]), &seen); err != nil {
		return "", fmt.Errorf("read the status: %w", err)
	}
	var states []fakeaws.GroupState
	for _, g := range r.account.AutoScalingGroups {
		if state, exists := r.aws.Group(g.Name); exists {
			states = append(states, state)
		}
	}
	return strings.Join(seen.differences(states), "; "), nil
}

// clusterStatus is the autoscaler's published status of its node groups.
type clusterStatus struct {
	NodeGroups []nodeGroupStatus `json:"nodeGroups"`
}

type nodeGroupStatus struct {
	Name   string `json:"name"`
	Health struct {
		Target int `json:"cloudProviderTarget"`
		Max    int `json:"maxSize"`
	} `json:"health"`
}

// differences are the errors of the node groups. Every group of several zones must be one node group for each zone, any other
// group one itself, and their sizes and maximum sizes must add up to the group's.
func (s clusterStatus) differences(groups []fakeaws.GroupState) (wrong []string) {
	type sizes struct{ target, most int }
	seen := map[string]sizes{}
	for _, ng := range s.NodeGroups {
		if _, twice := seen[ng.Name]; twice {
			wrong = append(wrong, fmt.Sprintf("node group %q is there twice", ng.Name))
		}
		seen[ng.Name] = sizes{ng.Health.Target, ng.Health.Max}
	}
	for _, g := range groups {
		ids := []string{g.Name}
		if len(g.Zones) > 1 {
			ids = nil
			for _, zone := range g.Zones {
				ids = append(ids, g.Name+"/"+zone)
			}
		}
		var sum sizes
		for _, id := range ids {
			ng, there := seen[id]
			if !there {
				wrong = append(wrong, fmt.Sprintf("there is no node group %q", id))
			}
			sum.target, sum.most = sum.target+ng.target, sum.most+ng.most
			delete(seen, id)
		}
		if want := (sizes{g.Desired, g.Max}); sum != want {
			wrong = append(wrong, fmt.Sprintf("the node groups of %q have a size of %d and at most %d, want %d and %d", g.Name, sum.target, sum.most, want.target, want.most))
		}
	}
	for id := range seen {
		wrong = append(wrong, fmt.Sprintf("there is a node group %q", id))
	}
	return wrong
}
