package zonal

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// The account and the workloads.
var (
	//go:embed account.yaml
	accountYAML []byte
	//go:embed cells/stateful.yaml
	statefulYAML string
	//go:embed cells/spread.yaml
	spreadYAML string
	//go:embed cells/unbound.yaml
	unboundYAML string
	//go:embed cells/affinity.yaml
	affinityYAML string
	//go:embed cells/apart.yaml
	apartYAML string
	//go:embed cells/filler.yaml
	fillerYAML string
)

const (
	group       = "zonal"
	systemNodes = 3
)

// A workload says what the pods of a cell need.
type workload struct {
	name, yaml string
	pods       int
	filled     int // nodes that the group has in the beginning, without room
}

var workloads = []workload{
	{name: "bound volumes", yaml: statefulYAML, pods: 3},
	{name: "bound volumes of one zone", yaml: strings.NewReplacer("us-east-1b", "us-east-1a", "us-east-1c", "us-east-1a").Replace(statefulYAML), pods: 3},
	{name: "bound volumes, nodes in all zones", yaml: statefulYAML, pods: 3, filled: 3},
	{name: "volumes that wait for their pod", yaml: unboundYAML, pods: 3},
	{name: "spread over zones", yaml: strings.Replace(spreadYAML, "replicas: 1", "replicas: 6", 1), pods: 6},
	{name: "zone affinity", yaml: affinityYAML, pods: 4},
	{name: "anti-affinity by zone", yaml: apartYAML, pods: 3},
}

// The kinds of groups. AWS lets nobody launch in a named zone of the mixed one, and its owner keeps the last one out.
const (
	untagged = "untagged"
	tagged   = "tagged"
	oneZone  = "one zone"
	mixed    = "mixed policy"
	keptOut  = "tagged false"
)

// A cell is a workload on one kind of group.
type cell struct {
	workload
	kind       string
	rebalanced bool // AZRebalance runs
	denied     bool // LaunchInstances is
}

// cells are all combinations of groups that can be scaled zone by zone, and the other groups as AWS makes them.
func cells() []cell {
	var all []cell
	for _, w := range workloads {
		for _, kind := range []string{untagged, tagged} {
			for n := range 4 {
				all = append(all, cell{w, kind, n&2 != 0, n&1 != 0})
			}
		}
		for _, kind := range []string{oneZone, mixed, keptOut} {
			all = append(all, cell{w, kind, true, false})
		}
	}
	return all
}

const (
	// rebalancing is the pause between two looks of AWS at the zones of the group.
	rebalancing = 5 * time.Second
	// patience bounds the time in which AWS balances the zones. A lost pod takes up to a minute until Kubernetes replaces it.
	patience = 5 * time.Minute
)

// label names the cell: its pods, its group, AZRebalance and LaunchInstances.
func (c cell) label() string {
	rebalance, launches := "suspended", "allowed"
	if c.rebalanced {
		rebalance = "AZRebalance"
	}
	if c.denied {
		launches = "denied"
	}
	return strings.Join([]string{c.name, c.kind, rebalance, launches}, "|")
}

// adapt makes the group of the account the cell's.
func (c cell) adapt(account *fakeaws.Config) {
	g := &account.AutoScalingGroups[slices.IndexFunc(account.AutoScalingGroups, func(g fakeaws.AutoScalingGroup) bool { return g.Name == group })]
	g.Desired = c.filled
	switch delete(g.Tags, asg.TagZonal); c.kind {
	case tagged:
		g.Tags[asg.TagZonal] = "true"
	case keptOut:
		g.Tags[asg.TagZonal] = "false"
	case oneZone:
		g.Zones = g.Zones[:1]
	case mixed:
		g.MixedInstancesPolicy = &fakeaws.MixedInstancesPolicy{LaunchTemplate: *g.LaunchTemplate, Distribution: fakeaws.Distribution{OnDemandPercentageAboveBaseCapacity: new(50)}}
		g.LaunchTemplate = nil
	}
	if c.rebalanced {
		g.SuspendedProcesses = nil
		account.Deeds = append(account.Deeds, fakeaws.Deed{Kind: fakeaws.Rebalance, Group: group, After: fakeaws.Duration(rebalancing), Every: fakeaws.Duration(rebalancing)})
	}
}

// do ends once all pods run, or after the wait. If AZRebalance runs, it goes on until AWS has balanced the zones and no lost pod waits.
func (c cell) do(ctx context.Context, r *run, o options) error {
	if c.denied {
		r.env.AWS.Deny("LaunchInstances")
	}
	if c.filled > 0 {
		if err := c.fill(ctx, r); err != nil {
			return err
		}
	}
	r.from = time.Now()
	if err := r.apply(ctx, c.yaml); err != nil {
		return err
	}
	running := func() int { return count(r.pods.Pods(), harness.Pod.Runs) }
	if err := r.patiently(ctx, o.wait, func() bool { return running() >= c.pods }); err != nil || !c.rebalanced {
		return err
	}
	ran := running()
	return r.patiently(ctx, patience, func() bool {
		now := r.record()
		return r.balanced() && now.runningAt(now.end) >= ran
	})
}

// balanced reports whether AWS would move no instance of the group.
func (r *run) balanced() bool {
	g, _ := r.env.AWS.Group(group)
	var counts []int
	for _, zone := range g.Zones {
		counts = append(counts, count(g.Instances, func(i fakeaws.InstanceState) bool { return i.Zone == zone }))
	}
	return slices.Max(counts)-slices.Min(counts) < 2
}

// fill fills the nodes of the group, and has them look older than a minute: the core takes no younger one for a template. The fillers are in a
// namespace that is not recorded.
func (c cell) fill(ctx context.Context, r *run) error {
	limit, cancel := context.WithTimeoutCause(ctx, startLimit, errors.New("the nodes of the group are not full"))
	defer cancel()
	if err := r.apply(limit, fillerYAML); err != nil {
		return err
	}
	client := r.env.Cluster.Client().CoreV1()
	var fillers []corev1.Pod
	if err := until(limit, func() (bool, error) {
		pods, err := client.Pods("kube-system").List(limit, metav1.ListOptions{LabelSelector: "app=filler"})
		if err != nil {
			return false, err
		}
		fillers = pods.Items
		return count(fillers, func(p corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning }) == c.filled, nil
	}); err != nil {
		return err
	}
	for _, pod := range fillers {
		node, err := client.Nodes().Get(limit, pod.Spec.NodeName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for i := range node.Status.Conditions {
			node.Status.Conditions[i].LastTransitionTime = metav1.NewTime(time.Now().Add(-time.Hour))
		}
		patch, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": node.Status.Conditions}})
		if err != nil {
			return err
		}
		if _, err := client.Nodes().Patch(limit, node.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
			return err
		}
	}
	return nil
}
