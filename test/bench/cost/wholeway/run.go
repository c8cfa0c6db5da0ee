package wholeway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/bound"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/mix"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	lab "github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

const (
	// settling is how long all pods must run, and no instance be under way, until a run is over.
	settling = 2 * time.Second
	// preparing bounds the wait for the autoscaler's first loop, or for kube-scheduler's verdict on all pods.
	preparing = 5 * time.Minute
	// pause is the time between two looks.
	pause = 100 * time.Millisecond
)

// Options configure a run.
type Options struct {
	Binary   string // our autoscaler
	Stock    bool   // the stock autoscaler runs in its place
	Expander string
	Dir      string        // of all logs, created if it is missing
	Wait     time.Duration // how long all pods may take to run
	Progress io.Writer     // receives a line for each step of building the control plane
	Flags    []string      // of our autoscaler, beside the usual ones
	AtOnce   bool          // the autoscaler starts once kube-scheduler has judged all pods, so that a slow creation does not count
}

// A Result is the outcome of a run. Times count from the creation of the first pod's owner, or with Options.AtOnce from the start of
// the autoscaler. A zero time means that it did not happen, or before.
type Result struct {
	Bound   float64        // per hour, for the nodes as they register
	PerHour float64        // of the fleet
	Nodes   map[string]int // by group, groups with any
	Unused  int            // nodes on which no pod of the mix runs
	Raises  int            // calls to AWS that ask for instances, refused ones left out
	Waiting int            // pods that do not run

	Created time.Duration // all pods exist
	Asked   time.Duration // the last raise
	Ready   time.Duration // the last node is Ready, with its GPUs
	Running time.Duration // all pods run
}

// Run has the autoscaler scale a new cluster up for the mix. Pods that do not run in time are a finding, and no error.
func Run(ctx context.Context, m *mix.Mix, o Options) (_ *Result, err error) {
	r := &run{mix: m, Options: o}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, err
	}
	if r.env, err = lab.Start(ctx, lab.Options{Dir: o.Dir, Binary: o.Binary, Progress: o.Progress, Crowded: true}); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	if err := r.await(ctx); err != nil {
		return nil, err
	}
	return r.result(), nil
}

type run struct {
	Options
	mix     *mix.Mix
	env     *lab.Env
	side    *lab.Env // of the autoscaler
	bound   float64
	pods    *harness.Record
	devices *publisher
	start   time.Time
}

func (r *run) close() error {
	if r.pods != nil {
		r.pods.Close()
	}
	if r.devices != nil {
		r.devices.close()
	}
	return harness.End(r.env)
}

// prepare starts the account and the autoscaler, waits for its first loop, and creates the pods. With Options.AtOnce the autoscaler
// comes last.
func (r *run) prepare(ctx context.Context) error {
	client := r.env.Cluster.Client()
	if err := r.env.GrantOptional(ctx); err != nil {
		return err
	}
	if err := Prepare(ctx, client, r.mix); err != nil {
		return fmt.Errorf("prepare the cluster: %w", err)
	}
	if err := r.env.StartAWS(ctx, Account(r.mix)); err != nil {
		return err
	}
	real, err := Registered(r.mix, r.env.AWS)
	if err != nil {
		return err
	}
	r.bound = bound.Of(bound.OfMix(real))
	flags, err := r.flags()
	if err != nil {
		return err
	}
	if r.side = r.env; r.Stock {
		if r.side, err = r.env.StartStock(ctx); err != nil {
			return err
		}
	}
	if !r.AtOnce {
		if err := r.side.StartAutoscaler(ctx, harness.Manifest, flags...); err != nil {
			return err
		}
		if err := r.until(ctx, "the autoscaler has made no loop", r.looped); err != nil {
			return err
		}
	}
	if r.devices, err = publish(ctx, client, r.mix); err != nil {
		return err
	}
	if r.pods, err = harness.RecordPods(ctx, client); err != nil {
		return err
	}
	r.env.AWS.ResetCalls()
	r.start = time.Now()
	if err := createPods(ctx, client, r.mix); err != nil {
		return fmt.Errorf("create the pods: %w", err)
	}
	if !r.AtOnce {
		return nil
	}
	judged := func(context.Context) (bool, error) { return r.look().judged >= len(r.mix.Pods), nil }
	if err := r.until(ctx, "kube-scheduler has not judged all pods", judged); err != nil {
		return err
	}
	r.start = time.Now()
	return r.side.StartAutoscaler(ctx, harness.Manifest, flags...)
}

// flags are the autoscaler's, beside the manifest's.
func (r *run) flags() ([]string, error) {
	flags := []string{"--expander=" + r.Expander, "--scale-down-unneeded-time=1h"}
	if anyPod(r.mix, claims) {
		flags = append(flags, "--enable-dynamic-resource-allocation")
	}
	if anyPod(r.mix, hasVolumes) {
		flags = append(flags, "--enable-csi-node-aware-scheduling")
	}
	if r.Stock {
		return flags, nil
	}
	prices, err := PriceFile(r.mix)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(r.Dir, "prices.csv")
	return slices.Concat(flags, []string{"--asg-price-file=" + path}, r.Flags), os.WriteFile(path, []byte(prices), 0o644)
}

// looped reports whether the autoscaler has made a loop: then there is its status.
func (r *run) looped(ctx context.Context) (bool, error) {
	_, err := r.env.Cluster.Client().CoreV1().ConfigMaps(metav1.NamespaceSystem).Get(ctx, "cluster-autoscaler-status", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// processes is the autoscaler, once it runs.
func (r *run) processes() []harness.Process {
	if a := r.side.Autoscaler(); a != nil {
		return []harness.Process{a}
	}
	return nil
}

// until waits until something is so, with the reason why it is not if that takes too long.
func (r *run) until(ctx context.Context, reason string, so func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, preparing, errors.New(reason))
	defer cancel()
	return harness.Until(ctx, pause, func() (bool, error) { return so(ctx) }, r.processes()...)
}

// await waits until all pods run and no instance is under way, or for as long as the pods may take.
func (r *run) await(ctx context.Context) error {
	return harness.Until(ctx, pause, func() (bool, error) {
		if time.Since(r.start) >= r.Wait {
			return true, nil
		}
		desired := 0
		for _, g := range r.env.AWS.Groups() {
			desired += g.Desired
		}
		seen := r.look()
		return !seen.allRun.IsZero() && time.Since(seen.allRun) >= settling && r.readyNodes() == desired, r.devices.failed()
	}, r.processes()...)
}

// A look is the pods at one moment.
type look struct {
	running int
	judged  int             // those for which kube-scheduler found no node
	used    map[string]bool // nodes with a running pod
	created time.Time       // when all existed
	allRun  time.Time       // since when all run, zero while they do not
}

func (r *run) look() look {
	l := look{used: map[string]bool{}}
	want := len(r.mix.Pods)
	for n, p := range r.pods.Pods() {
		if n+1 == want {
			l.created = p.Created
		}
		if !p.Refused.IsZero() {
			l.judged++
		}
		if p.Runs() {
			l.running++
			l.used[p.Node] = true
			if p.Running.After(l.allRun) {
				l.allRun = p.Running
			}
		}
	}
	if l.running < want {
		l.allRun = time.Time{}
	}
	return l
}

// readyNodes counts the nodes that have become Ready and are still there.
func (r *run) readyNodes() int {
	ready := map[string]bool{}
	for _, m := range r.env.Timeline.Since(time.Time{}) {
		switch m.Kind {
		case lab.NodeReady:
			ready[m.Object] = true
		case lab.NodeGone:
			delete(ready, m.Object)
		}
	}
	return len(ready)
}

func (r *run) result() *Result {
	seen := r.look()
	out := &Result{Bound: r.bound, Nodes: map[string]int{}, Waiting: len(r.mix.Pods) - seen.running,
		Created: r.since(seen.created), Running: r.since(seen.allRun)}
	perHour := map[string]float64{}
	for _, g := range r.mix.Groups {
		perHour[g.Name] = g.PerHour
	}
	for _, g := range r.env.AWS.Groups() {
		for _, i := range g.Instances {
			out.Nodes[g.Name]++
			out.PerHour += perHour[g.Name]
			if !seen.used[i.Node] {
				out.Unused++
			}
		}
	}
	for _, call := range r.env.AWS.CallLog() {
		if call.Code == "" && slices.Contains(harness.Raises, call.Action) {
			out.Raises++
			out.Asked = max(out.Asked, r.since(call.Time))
		}
	}
	for _, e := range r.env.AWS.Events() {
		if e.Kind == fakeaws.NodeReady || e.Kind == fakeaws.GPUPublished {
			out.Ready = max(out.Ready, r.since(e.Time))
		}
	}
	return out
}

func (r *run) since(at time.Time) time.Duration {
	if at.IsZero() {
		return 0
	}
	return max(0, at.Sub(r.start))
}
