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
	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
	lab "github.com/asg-autoscaler/asg-autoscaler/test/scenario"
	"github.com/asg-autoscaler/asg-autoscaler/test/stock"
)

const (
	// manifest is the shipped Deployment whose flags both autoscalers get. Stock gets none of ours.
	manifest = "s0-gpu-spot-china"
	// settling is how long all pods must run, and no instance be under way, until a run is over.
	settling = 2 * time.Second
	// preparing bounds the wait for the autoscaler's first loop, or for kube-scheduler's verdict on all pods.
	preparing = 5 * time.Minute
	// pause is the time between two looks.
	pause = 100 * time.Millisecond
)

// An Autoscaler is the program to run.
type Autoscaler struct {
	Binary   string
	Stock    bool // it is the stock autoscaler
	Expander string
}

// Options configure a run.
type Options struct {
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
func Run(ctx context.Context, m *mix.Mix, a Autoscaler, o Options) (_ *Result, err error) {
	r := &run{mix: m, autoscaler: a, options: o}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, err
	}
	if r.env, err = lab.Start(ctx, lab.Options{Dir: o.Dir, Binary: a.Binary, Stock: a.Stock, Progress: o.Progress, Crowded: true}); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	if err := r.await(ctx); err != nil {
		return nil, err
	}
	return r.result()
}

type run struct {
	mix        *mix.Mix
	autoscaler Autoscaler
	options    Options
	env        *lab.Env
	bound      float64
	pods       *observer
	start      time.Time
}

// close ends everything. It kills the autoscaler, because its end is not measured.
func (r *run) close() error {
	if r.pods != nil {
		r.pods.close()
	}
	if a := r.env.Autoscaler(); a != nil {
		a.Kill()
	}
	return r.env.Close()
}

// prepare starts the account and the autoscaler, waits for its first loop, and creates the pods. With Options.AtOnce the autoscaler
// comes last.
func (r *run) prepare(ctx context.Context) error {
	client := r.env.Cluster.Client()
	if err := r.env.GrantOptional(ctx); err != nil {
		return err
	}
	if err := prepare(ctx, client, r.mix); err != nil {
		return fmt.Errorf("prepare the cluster: %w", err)
	}
	config, err := account(r.mix)
	if err != nil {
		return err
	}
	if err := r.env.StartAWS(ctx, config); err != nil {
		return err
	}
	real, err := registered(r.mix, r.env.AWS)
	if err != nil {
		return err
	}
	r.bound = bound.Of(bound.OfMix(real)).Fractional
	flags, err := r.flags()
	if err != nil {
		return err
	}
	if !r.options.AtOnce {
		if err := r.env.StartAutoscaler(ctx, manifest, flags...); err != nil {
			return err
		}
		if err := r.until(ctx, "the autoscaler has made no loop", r.looped); err != nil {
			return err
		}
	}
	devices := map[string]int{}
	for _, g := range r.mix.Groups {
		devices[g.Name] = g.Devices
	}
	if r.pods, err = observe(ctx, client, len(r.mix.Pods), devices); err != nil {
		return err
	}
	r.env.AWS.ResetCalls()
	r.start = time.Now()
	if err := createPods(ctx, client, r.mix); err != nil {
		return fmt.Errorf("create the pods: %w", err)
	}
	if !r.options.AtOnce {
		return nil
	}
	if err := r.until(ctx, "kube-scheduler has not judged all pods", r.judged); err != nil {
		return err
	}
	r.start = time.Now()
	return r.env.StartAutoscaler(ctx, manifest, flags...)
}

// flags are the autoscaler's, beside the manifest's.
func (r *run) flags() ([]string, error) {
	flags := []string{"--expander=" + r.autoscaler.Expander, "--scale-down-unneeded-time=1h"}
	if anyPod(r.mix, claims) {
		flags = append(flags, "--enable-dynamic-resource-allocation")
	}
	if anyPod(r.mix, hasVolumes) {
		flags = append(flags, "--enable-csi-node-aware-scheduling")
	}
	if r.autoscaler.Stock {
		config, err := stock.CloudConfig(r.options.Dir, r.env.AWS.Region(), r.env.AWS.URL())
		return append(flags, "--cloud-config="+config), err
	}
	prices, err := priceFile(r.mix)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(r.options.Dir, "prices.csv")
	return slices.Concat(flags, []string{"--asg-price-file=" + path}, r.options.Flags), os.WriteFile(path, []byte(prices), 0o644)
}

// looped reports whether the autoscaler has made a loop: then there is its status.
func (r *run) looped(ctx context.Context) (bool, error) {
	_, err := r.env.Cluster.Client().CoreV1().ConfigMaps(metav1.NamespaceSystem).Get(ctx, "cluster-autoscaler-status", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// judged reports whether kube-scheduler has found no node for any of the pods.
func (r *run) judged(context.Context) (bool, error) {
	seen, err := r.pods.look()
	return seen.judged >= len(r.mix.Pods), err
}

// until waits until something is so, with the reason why it is not if that takes too long.
func (r *run) until(ctx context.Context, reason string, so func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, preparing, errors.New(reason))
	defer cancel()
	for {
		done, err := so(ctx)
		if done || err != nil {
			return err
		}
		if err := r.wait(ctx); err != nil {
			return err
		}
	}
}

// wait waits a moment. It returns the reason if the run cannot go on.
func (r *run) wait(ctx context.Context) error {
	var ended <-chan struct{}
	if a := r.env.Autoscaler(); a != nil {
		ended = a.Done()
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-ended:
		return errors.New("the autoscaler ended by itself")
	case <-time.After(pause):
		return nil
	}
}

// await waits until all pods run and no instance is under way, or for as long as the pods may take.
func (r *run) await(ctx context.Context) error {
	for time.Since(r.start) < r.options.Wait {
		seen, err := r.pods.look()
		if err != nil {
			return err
		}
		desired := 0
		for _, g := range r.env.AWS.Groups() {
			desired += g.Desired
		}
		if !seen.allRun.IsZero() && time.Since(seen.allRun) >= settling && seen.ready == desired {
			return nil
		}
		if err := r.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) result() (*Result, error) {
	seen, err := r.pods.look()
	if err != nil {
		return nil, err
	}
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
		if call.Code == "" && slices.Contains(raises, call.Action) {
			out.Raises++
			out.Asked = max(out.Asked, r.since(call.Time))
		}
	}
	for _, e := range r.env.AWS.Events() {
		if e.Kind == fakeaws.NodeReady || e.Kind == fakeaws.GPUPublished {
			out.Ready = max(out.Ready, r.since(e.Time))
		}
	}
	return out, nil
}

// raises are the calls that ask for instances.
var raises = []string{"LaunchInstances", "SetDesiredCapacity", "UpdateAutoScalingGroup"}

func (r *run) since(at time.Time) time.Duration {
	if at.IsZero() {
		return 0
	}
	return max(0, at.Sub(r.start))
}
