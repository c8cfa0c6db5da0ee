package chaos

import (
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
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
