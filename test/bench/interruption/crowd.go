package interruption

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

type crowd struct {
	nodes, pods, daemonSets, held int

	holding map[string]bool // names of the warned nodes that have a pod whose budget cannot be computed
}

const (
	// crowdNode is the node of the pods that are not on warned nodes.
	crowdNode = "crowd"
	// writers create pods at the same time.
	writers = 16
)

// gather creates the crowd and waits until all of it runs.
func (c *crowd) gather(ctx context.Context, env *scenario.Env, progress io.Writer) error {
	client := env.Cluster.Client()
	for n := range c.daemonSets {
		if _, err := env.Cluster.RunKubectl(ctx, strings.ReplaceAll(agent, "agent-0", fmt.Sprint("agent-", n)), "apply", "-f", "-"); err != nil {
			return err
		}
	}
	if err := c.hold(ctx, client); err != nil {
		return err
	}
	more := c.pods - c.nodes*(perNode+c.daemonSets) - c.held
	if more > 0 {
		if err := fill(ctx, client, more, progress); err != nil {
			return err
		}
	}
	want := c.nodes*(perNode+c.daemonSets) + c.held + max(0, more)
	return wait(ctx, 15*time.Minute, fmt.Sprintf("%d pods running", want), func() (bool, error) {
		return seen(env, scenario.PodRunning) >= want, nil
	})
}

// hold puts pods on warned nodes whose controller has no scale, under a budget that needs one.
func (c *crowd) hold(ctx context.Context, client kubernetes.Interface) error {
	if c.held == 0 {
		return nil
	}
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	c.holding = map[string]bool{}
	for n := range min(c.held, len(nodes.Items)) {
		node := &nodes.Items[n]
		c.holding[node.Name] = true
		p := pod(fmt.Sprint("held-", n), node.Name)
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID, Controller: ptr.To(true)}}
		p.Labels = map[string]string{"app": "held"}
		if _, err := client.CoreV1().Pods("default").Create(ctx, p, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	// Only a budget that finds its pods as it is made is never computed. Its status then never shows its generation.
	budget := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "held"}, Spec: policyv1.PodDisruptionBudgetSpec{
		MaxUnavailable: ptr.To(intstr.FromInt32(1)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "held"}}}}
	_, err = client.PolicyV1().PodDisruptionBudgets("default").Create(ctx, budget, metav1.CreateOptions{})
	return err
}

// fill creates pods on a node that is in no Auto Scaling group.
func fill(ctx context.Context, client kubernetes.Interface, pods int, progress io.Writer) error {
	room := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10000"), corev1.ResourceMemory: resource.MustParse("10Ti"),
		corev1.ResourcePods: resource.MustParse("100000")}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: crowdNode, Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"}},
		Spec:   corev1.NodeSpec{Taints: []corev1.Taint{{Key: crowdNode, Effect: corev1.TaintEffectNoSchedule}}},
		Status: corev1.NodeStatus{Capacity: room, Allocatable: room}}
	if _, err := client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
		return err
	}
	var creations errgroup.Group
	creations.SetLimit(writers)
	for n := range pods {
		if n%1000 == 0 {
			fmt.Fprintf(progress, "%d of %d pods created\n", n, pods)
		}
		creations.Go(func() error {
			_, err := client.CoreV1().Pods("default").Create(ctx, pod(fmt.Sprint("crowd-", n), crowdNode), metav1.CreateOptions{})
			return err
		})
	}
	return creations.Wait()
}

func pod(name, node string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{NodeName: node, TerminationGracePeriodSeconds: ptr.To[int64](2),
		Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
		Containers: []corev1.Container{{Name: "main", Image: "registry.example.com/crowd:dev", Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1m"), corev1.ResourceMemory: resource.MustParse("1Mi")}}}}}}
}

// agent is the first of the DaemonSets.
//
//go:embed agent.yaml
var agent string
