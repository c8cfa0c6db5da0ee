package peers

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/karpenter"
	lab "github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

// unneededTime is how long a node must be empty until it may go, for every peer, in the cases in which nodes go.
const unneededTime = 10 * time.Second

// unneededFlags let a Cluster Autoscaler remove empty nodes after unneededTime.
var unneededFlags = []string{"--scale-down-unneeded-time=" + unneededTime.String(), "--scale-down-delay-after-add=0s"}

// leaseFlag switches off leader election in the cases with the large clusters. A busy machine renews the lease too late there, and then
// a Cluster Autoscaler ends.
const leaseFlag = "--leader-elect=false"

// A run is one peer in one case.
type run struct {
	*world
	bench *bench
	benchCase
	peer       peer
	processes  []harness.Process
	autoscaler *lab.Autoscaler   // the process with the core's loop, nil for Karpenter
	plugin     *lab.Autoscaler   // the process that it asks, mostly nil
	claims     *karpenter.Claims // nil for a Cluster Autoscaler
	figures    figures

	started time.Time // the first process
	ready   time.Time // its first loop was over
}

// launch starts the peer and waits until it is ready for pods: a Cluster Autoscaler has made its first loop.
func (r *run) launch(ctx context.Context) error {
	if err := r.bench.renew(); err != nil {
		return err
	}
	r.started = time.Now()
	if r.peer.kind == karpenterKind {
		return r.launchKarpenter(ctx)
	}
	env, err := r.half(ctx)
	if err != nil {
		return err
	}
	r.env.AWS.ResetCalls()
	r.started = time.Now()
	if r.peer.kind == pluginKind {
		if err := r.env.StartPlugin(ctx, harness.Manifest); err != nil {
			return err
		}
		r.plugin = r.env.Autoscaler()
		r.processes = append(r.processes, r.plugin)
	}
	flags := slices.Clone(r.peer.flags)
	if r.nodesGo {
		flags = append(flags, unneededFlags...)
	}
	if r.shared {
		flags = append(flags, leaseFlag)
	}
	if err := env.StartAutoscaler(ctx, harness.Manifest, flags...); err != nil {
		return err
	}
	r.autoscaler = env.Autoscaler()
	r.processes = append(r.processes, r.autoscaler)
	err = harness.Until(ctx, 10*time.Millisecond, func() (bool, error) {
		metrics, err := r.autoscaler.Metrics(ctx)
		return loopsSince(nil, metrics).count > 0, err
	}, r.autoscaler)
	r.ready = time.Now()
	return err
}

// half returns the half of the world in which the Cluster Autoscaler runs.
func (r *run) half(ctx context.Context) (*lab.Env, error) {
	switch r.peer.kind {
	case stockKind:
		return r.env.StartStock(ctx)
	case pluginKind:
		if err := r.env.PreparePlugin(ctx); err != nil {
			return nil, err
		}
		return r.env.StartCore(ctx)
	}
	return r.env, nil
}

// launchKarpenter starts Karpenter with a NodePool for each group.
func (r *run) launchKarpenter(ctx context.Context) error {
	dir := filepath.Join(r.dir, karpenters)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var pools []karpenter.Pool
	for _, g := range r.world.groups {
		node, err := r.env.AWS.NextNode(g.name)
		if err != nil {
			return err
		}
		pools = append(pools, karpenter.Pool{Name: g.name, Labels: map[string]string{groupLabel: g.name},
			Offers: []karpenter.Offer{{InstanceType: g.instanceType, Node: node}}})
	}
	o := karpenter.Options{Binary: r.bench.karpenter, Dir: dir, Cluster: r.env.Cluster, Pools: pools, BootTime: bootTime}
	if r.nodesGo {
		o.ConsolidateAfter = unneededTime
	}
	p, err := karpenter.Start(ctx, o)
	if err != nil {
		return err
	}
	r.processes, r.claims, r.ready = []harness.Process{p}, p.Claims(), time.Now()
	return nil
}

// end kills the processes, because their end is not measured, and removes their leases and status, so that the next ones need not wait.
func (r *run) end(ctx context.Context) error {
	if len(r.processes) == 0 {
		return nil
	}
	ended := harness.Ended(r.processes...)
	for _, p := range r.processes {
		p.Kill()
	}
	if r.claims != nil {
		return ended
	}
	client := r.env.Cluster.Client()
	for _, lease := range []string{"cluster-autoscaler", "cluster-autoscaler-plugin"} {
		err := client.CoordinationV1().Leases(metav1.NamespaceSystem).Delete(ctx, lease, metav1.DeleteOptions{})
		ended = errors.Join(ended, unlessMissing(err))
	}
	status := client.CoreV1().ConfigMaps(metav1.NamespaceSystem).Delete(ctx, "cluster-autoscaler-status", metav1.DeleteOptions{})
	return errors.Join(ended, unlessMissing(status))
}

func unlessMissing(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// until waits until something is so, or with an error until a process has ended by itself.
func (r *run) until(ctx context.Context, so func() (bool, error)) error {
	return harness.Until(ctx, pause, so, r.processes...)
}

// A request is one for instances, or for their termination.
type request struct {
	at    time.Time
	group string
}

// cuts are the calls that terminate instances.
var cuts = []string{"TerminateInstanceInAutoScalingGroup", "TerminateInstances", "SetDesiredCapacity", "DetachInstances"}

// asked are the accepted requests for instances since then, in their order.
func (r *run) asked(since time.Time) []request {
	if r.claims != nil {
		var all []request
		for _, c := range r.claims.Seen() {
			if !c.Created.Before(since) {
				all = append(all, request{c.Created, c.Pool})
			}
		}
		return all
	}
	return r.calls(since, harness.Raises)
}

// calls are the accepted calls of some actions since then, in the order of their arrival.
func (r *run) calls(since time.Time, actions []string) []request {
	var all []request
	for _, call := range r.env.AWS.CallLog() {
		if call.Code == "" && !call.Time.Before(since) && slices.Contains(actions, call.Action) {
			all = append(all, request{call.Time, call.Params.Get("AutoScalingGroupName")})
		}
	}
	slices.SortStableFunc(all, func(a, b request) int { return a.at.Compare(b.at) })
	return all
}

// terminated is when the termination of each instance was requested, sorted.
func (r *run) terminated(since time.Time) []time.Time {
	var all []time.Time
	if r.claims != nil {
		for _, c := range r.claims.Seen() {
			if c.Deleted.After(since) {
				all = append(all, c.Deleted)
			}
		}
	} else {
		for _, e := range r.env.AWS.Events() {
			if (e.Kind == fakeaws.TerminateRequested || e.Kind == fakeaws.ScaleInKill) && !e.Time.Before(since) {
				all = append(all, e.Time)
			}
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	return all
}

// nodes is how many nodes were asked for since then.
func (r *run) nodes(since time.Time) int {
	if r.claims != nil {
		return len(r.asked(since))
	}
	return lab.Count(r.env.Timeline.Since(since), lab.InstanceLaunched)
}

// A figure is one value of a run.
type figure struct {
	Name, Unit string
	Value      float64
}

// figures are in the order of the report.
type figures []figure

func (f figures) String() string {
	var parts []string
	for _, one := range f {
		parts = append(parts, one.Name+" "+format(one.Value, one.Unit))
	}
	return strings.Join(parts, ", ")
}

func (r *run) add(name, unit string, value float64) {
	r.figures = append(r.figures, figure{name, unit, value})
}

// took adds the time between two moments.
func (r *run) took(name string, from, to time.Time) { r.add(name, "s", to.Sub(from).Seconds()) }
