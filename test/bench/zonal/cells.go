package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
)

// The workloads of the cells, beside those of the scenarios.
var (
	//go:embed cells/unbound.yaml
	unboundYAML string
	//go:embed cells/affinity.yaml
	affinityYAML string
	//go:embed cells/apart.yaml
	apartYAML string
	//go:embed cells/filler.yaml
	fillerYAML string
)

// A workload says what the pods of a cell need.
type workload struct {
	name   string
	yaml   string
	pods   int
	filled int // nodes that the group has in the beginning, without room
}

var workloads = []workload{
	{name: "bound volumes", yaml: statefulYAML, pods: 3},
	{name: "bound volumes, nodes in all zones", yaml: statefulYAML, pods: 3, filled: 3},
	{name: "volumes that wait for their pod", yaml: unboundYAML, pods: 3},
	{name: "spread over zones", yaml: strings.Replace(spreadYAML, "replicas: 1", "replicas: 6", 1), pods: 6},
	{name: "zone affinity", yaml: affinityYAML, pods: 4},
	{name: "anti-affinity by zone", yaml: apartYAML, pods: 3},
}

// A cell is a workload on one kind of group.
type cell struct {
	workload
	tagged     bool // with asg.TagZonal
	rebalanced bool // AZRebalance runs
	denied     bool // LaunchInstances is
}

// cells are all combinations.
func cells() []cell {
	var all []cell
	for _, w := range workloads {
		for n := range 8 {
			all = append(all, cell{workload: w, tagged: n&4 != 0, rebalanced: n&2 != 0, denied: n&1 != 0})
		}
	}
	return all
}

// rebalancing is the pause between two looks of AWS at the zones of the group.
const rebalancing = 10 * time.Second

// scenario returns the cell as a scenario, in which a run ends once all of its pods run.
func (c cell) scenario() scenario {
	name := c.name
	for _, is := range []struct {
		so      bool
		yes, no string
	}{{c.tagged, "tagged", "untagged"}, {c.rebalanced, "AZRebalance", "suspended"}, {c.denied, "denied", "allowed"}} {
		if !is.so {
			is.yes = is.no
		}
		name += "|" + is.yes
	}
	return scenario{name: name, title: "one kind of pods on one kind of group", pods: c.pods, do: c.do, wrong: timeline.unused, adapt: c.adapt,
		flags: []string{"--scan-interval=1s"}}
}

// adapt makes the group of the account the cell's. Nodes register soon.
func (c cell) adapt(account *fakeaws.Config) {
	account.Delays.Register = fakeaws.Duration(2 * time.Second)
	g := &account.AutoScalingGroups[slices.IndexFunc(account.AutoScalingGroups, func(g fakeaws.AutoScalingGroup) bool { return g.Name == group })]
	g.Desired = c.filled
	if !c.tagged {
		delete(g.Tags, asg.TagZonal)
	}
	if c.rebalanced {
		g.SuspendedProcesses = nil
		account.Deeds = append(account.Deeds, fakeaws.Deed{Kind: fakeaws.Rebalance, Group: group, After: fakeaws.Duration(rebalancing), Every: fakeaws.Duration(rebalancing)})
	}
}

func (c cell) do(ctx context.Context, r *run, o options) error {
	if c.denied {
		r.env.AWS.Deny("LaunchInstances")
	}
	if c.filled > 0 {
		if err := c.fill(ctx, r); err != nil {
			return err
		}
	}
	r.from = r.now()
	if err := r.apply(ctx, c.yaml); err != nil {
		return err
	}
	return r.waitRunning(ctx, c.pods, o.wait)
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

// most is the largest number of pods that ran at once.
func (t timeline) most() int {
	most := 0
	for _, p := range t.Pods {
		if p.Running > 0 {
			most = max(most, count(t.Pods, func(other pod) bool { return other.runsAt(p.Running) }))
		}
	}
	return most
}

// writeCells prints a line for each cell. It returns how many cells ours ran fewer pods in than stock.
func (r report) writeCells(w io.Writer) (worse int, err error) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "pods\tgroup\tAZRebalance\tLaunchInstances\tstock\tours\t")
	for n := 0; n+1 < len(r.Runs); n += 2 {
		theirs, own := r.Runs[n], r.Runs[n+1]
		verdict := ""
		switch {
		case theirs.Error != "" || own.Error != "":
			verdict = "could not be run"
		case own.Timeline.most() < theirs.Timeline.most():
			verdict, worse = "worse", worse+1
		case own.Timeline.most() > theirs.Timeline.most():
			verdict = "better"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", strings.ReplaceAll(own.Scenario, "|", "\t"), theirs.share(), own.share(), verdict)
	}
	return worse, table.Flush()
}

// share says how many of the pods ran at once, and after how long all did.
func (r result) share() string {
	text := fmt.Sprintf("%d", r.Timeline.most())
	if r.AllRun != nil {
		text += fmt.Sprintf(" after %.0f s", *r.AllRun)
	}
	return fmt.Sprintf("%s, %d nodes", text, r.Launched)
}
