package interruption

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

const (
	group   = "spot"
	queue   = "interruptions"
	perNode = 3
)

// Main runs the bench.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var crowd crowd
	c := harness.New("interruption", stderr)
	c.IntVar(&crowd.nodes, "nodes", 100, "spot instances that are warned at once")
	c.IntVar(&crowd.pods, "pods", 0, "pods in the namespace; 0: only the pods of the warned nodes")
	c.IntVar(&crowd.daemonSets, "daemonsets", 0, "DaemonSets, with a pod of each on every node")
	c.IntVar(&crowd.held, "held", 0, "warned nodes with a pod whose disruption budget cannot be computed")
	if !c.Parse(args, func() error { return nil }) {
		return 2
	}
	return c.Exit(c.InDir(func(dir string) error { return run(ctx, crowd, dir, stdout, stderr) }))
}

func run(ctx context.Context, c crowd, dir string, out, progress io.Writer) (err error) {
	binary, err := harness.Build(ctx, dir, progress, false)
	if err != nil {
		return err
	}
	env, err := scenario.Start(ctx, scenario.Options{Dir: dir, Binary: binary, Progress: progress})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, env.Close()) }()
	if err := prepare(ctx, env, c.nodes); err != nil {
		return err
	}
	if err := c.gather(ctx, env, progress); err != nil {
		return err
	}
	return measure(ctx, env, c, out)
}

// prepare waits until the nodes run their pods and the autoscaler reads the queue.
func prepare(ctx context.Context, env *scenario.Env, nodes int) error {
	if err := env.StartAWS(ctx, account(nodes)); err != nil {
		return err
	}
	if err := env.StartAutoscaler(ctx, harness.Manifest, "--asg-interruption-queue="+queue, "--v=2"); err != nil {
		return err
	}
	if _, err := env.Cluster.RunKubectl(ctx, strings.Replace(web, "replicas: 1", fmt.Sprint("replicas: ", nodes*perNode), 1), "apply", "-f", "-"); err != nil {
		return err
	}
	return wait(ctx, 5*time.Minute, "all pods running and the queue read", func() (bool, error) {
		if seen(env, scenario.PodRunning) < nodes*perNode {
			return false, nil
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
	var cordoned []time.Duration // the autoscaler taints and cordons a node in one write
	for _, m := range env.Timeline.Since(start) {
		if m.Kind == scenario.NodeTainted {
			cordoned = append(cordoned, m.At.Sub(start))
		}
	}
	if len(cordoned) < nodes {
		return fmt.Errorf("%d nodes were cordoned of %d", len(cordoned), nodes)
	}
	fmt.Fprintf(out, "nodes warned at once      %d, with %d pods each\n", nodes, perNode)
	fmt.Fprintf(out, "in the namespace          %d pods, %d DaemonSets, %d nodes with a budget that cannot be computed\n", max(c.pods, nodes*perNode), c.daemonSets, c.held)
	fmt.Fprintf(out, "first node cordoned       %.2f s after the warnings\n", cordoned[0].Seconds())
	fmt.Fprintf(out, "last node cordoned        %.2f s\n", cordoned[nodes-1].Seconds())
	if c.held > 0 {
		fmt.Fprintf(out, "last held one terminated %.2f s, and %d of %d interrupted by EC2 before\n", result.held.last.Seconds(), result.held.taken, c.held)
	}
	fmt.Fprintf(out, "last instance terminated %.2f s, and %d interrupted by EC2 at 120 s%s\n", result.others.last.Seconds(), result.others.taken, besides(c.held))
	fmt.Fprintf(out, "CPU of the autoscaler     %.1f s, %.2f cores\n", usedThen-used, (usedThen-used)/took.Seconds())
	fmt.Fprintf(out, "ended with pods on them   %d\n", seen(env, scenario.KilledUndrained))
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
	if err == nil && families["process_cpu_seconds_total"] == nil {
		err = errors.New("the autoscaler does not say how much CPU it has used")
	}
	return scenario.MetricSum(families, "process_cpu_seconds_total", nil), err
}

// seen counts the moments of a kind so far.
func seen(env *scenario.Env, kind scenario.Kind) int {
	return scenario.Count(env.Timeline.Since(time.Time{}), kind)
}

// wait waits until something is so.
func wait(ctx context.Context, limit time.Duration, what string, so func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not within %v: %s", limit, what))
	defer cancel()
	return harness.Until(ctx, time.Second/4, so)
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
			Tags:           harness.Tags(nil),
		}},
		Queues: []fakeaws.Queue{{Name: queue, Events: []string{"*"}}},
	}
}

// web is the workload.
//
//go:embed web.yaml
var web string
