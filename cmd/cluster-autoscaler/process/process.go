package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/aws/smithy-go/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/config/flags"
	"k8s.io/autoscaler/cluster-autoscaler/debuggingsnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/loop"
	"k8s.io/autoscaler/cluster-autoscaler/metrics"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/decisions"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/dryrun"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/informers"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/lifecycle"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/options"
)

// Process is the autoscaler as configured. FromFlags makes it, and it runs once.
type Process struct {
	core      config.AutoscalingOptions
	options   options.Options
	version   string   // of the binary
	expanders []string // of --expander, in the order in which they decide
	flags     []string // that were given, as --name=value, sorted
	off       []string // why features are switched off
	assumed   bool     // no flag selects groups, and the name of the cluster does

	cloudConfig awsclient.CloudConfig    // of --cloud-config
	catalogue   *instancetypes.Catalogue // with --asg-instance-types-file

	kube        *rest.Config
	health      *health
	ready       readiness
	succession  *lifecycle.Succession // nil without the lease
	snapshotter debuggingsnapshot.DebuggingSnapshotter
	record      *decision.Record
	decisions   *decisions.Collector            // fills the record
	registerer  prometheus.Registerer           // of our metrics
	guard       *dryrun.Guard                   // nil but in a dry run
	remove      string                          // node that a dry run asks to go
	middleware  []func(*middleware.Stack) error // of the AWS clients
	refusing    *dryrun.Guard                   // nil but in a shadow
	requests    bool                            // the leader of this shadow serves ProvisioningRequests
	ring        dryrun.Ring                     // of recorded loops
}

const resourceClaims = "enable-dynamic-resource-allocation"

// FromFlags makes the process of flags that options.Register has added to fs, and that somebody has parsed. It refuses wrong flags, and wrong files
// that they name, before the process stands for election. A leader that finds them has taken the lease from a replica that works. The version is
// the binary's.
func FromFlags(fs *pflag.FlagSet, opts *options.Options, version string) (*Process, error) {
	if given, _ := fs.GetBool(resourceClaims); !given { // as releases of stock before 1.35 could say, while the core ends the process
		klog.InfoS("A flag does nothing here", "flag", "--"+resourceClaims+"=false", "reason", "resource claims count if the API server serves them, and the ClusterRole grants them")
		_ = fs.Set(resourceClaims, "true") // which takes it
	}
	core := flags.AutoscalingOptions()
	opts.AWS.FillProfile(fs)
	opts.AWS.FillUnset(fs, &core)
	opts.FillStartupTime(fs, core)
	opts.FillLease(fs)
	p := &Process{core: core, options: *opts, version: version, flags: options.Given(fs)}
	if err := p.check(); err != nil {
		return nil, err
	}
	return p, nil
}

// Run serves the endpoints and autoscales, under the leader lease unless that is switched off. As a plugin it serves a core that
// autoscales. It returns nil once ctx has ended and everything else has, too.
func (p *Process) Run(ctx context.Context) error {
	klog.FromContext(ctx).V(2).Info("Set up garbage collection", "heapLimit", lifecycle.LimitHeap())
	debug.FreeOSMemory() // a replica without the lease keeps this size
	var err error
	if p.kube, err = kubeConfig(p.core.KubeClientOpts); err != nil {
		return err
	}
	if p.options.AWS.Shadow {
		p.withoutWrites()
	}
	running, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	p.health = p.newHealth()
	p.snapshotter = debuggingsnapshot.NewDebuggingSnapshotter(p.core.DebuggingSnapshotEnabled)
	p.record = decision.New(p.facts("", false), clock.RealClock{}) // of a process that does not lead yet
	p.ready.record = p.record
	p.registerer = legacyregistry.Registerer()
	if p.ring.Most = p.options.AWS.RecordLoops; p.ring.Most > 0 {
		p.middleware = append(p.middleware, p.ring.AWS)
	}
	stopServing, err := p.listen(running, fail)
	if err != nil {
		return err
	}
	defer stopServing()
	if p.options.AWS.PluginAddress != "" {
		err = p.serveCore(running)
	} else {
		err = p.elected(running, p.work)
	}
	switch {
	case ctx.Err() == nil:
		return cmp.Or(context.Cause(running), err) // the endpoints broke, or the work
	case errors.Is(err, lifecycle.ErrUnfinished): // which is logged
		return nil
	}
	return err
}

// work autoscales until ctx ends. Then it ends its own parts, within the limits above. It returns an error if it could not
// start, did not start in time, or lost a part that it needs. Another replica may then have the lease.
func (p *Process) work(ctx context.Context) error {
	p.lead()
	metrics.RegisterAll(p.core.EmitPerNodeGroupMetrics)
	// Everything under the loop outlives ctx, so that the loop under way can end in peace.
	working, endWork := context.WithCancel(context.WithoutCancel(ctx))
	defer endWork()
	p.ready.await(firstReading)
	starting, cancel := context.WithTimeout(ctx, p.options.MaxStartupTime)
	a, err := p.assemble(starting, working)
	switch {
	case err != nil && ctx.Err() != nil:
		err = nil
	case err != nil && starting.Err() != nil:
		err = fmt.Errorf("not ready %v after the election: %w", p.options.MaxStartupTime, err)
	}
	cancel()
	if a == nil {
		return err
	}
	p.ready.done()
	p.health.watch(a.cloud.cache.Unread)
	p.health.StartMonitoring()
	if err := a.autoscaler.Start(); err != nil {
		return fmt.Errorf("start the core: %w", err)
	}

	background, alive := errgroup.WithContext(working)
	if p.refusing == nil {
		a.beside = append(a.beside, a.handler.Run)
	}
	for _, run := range a.beside {
		background.Go(func() error { return run(alive) })
	}
	looping, stopLooping := context.WithCancel(ctx)
	defer stopLooping()
	defer context.AfterFunc(alive, stopLooping)()
	loopEnded := make(chan struct{})
	background.Go(func() error {
		defer close(loopEnded)
		return p.loop(looping, a)
	})

	<-looping.Done()
	broken := context.Cause(alive) // nil unless a part has ended
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		klog.FromContext(ctx).Info("Stopping", "reason", cause.Error())
	}
	ended := lifecycle.End(context.WithoutCancel(ctx),
		lifecycle.Step{Name: "loop", Limit: loopEndLimit, Do: func(ctx context.Context) { await(ctx, loopEnded) }},
		lifecycle.Step{Name: "core", Limit: cleanUpLimit, Do: func(context.Context) { cleanUp(a, loopEnded) }},
		lifecycle.Step{Name: "background", Limit: backgroundEndLimit, Do: func(context.Context) {
			endWork()
			_ = background.Wait()
			a.informers.Shutdown()
		}},
	)
	return errors.Join(broken, ended)
}

// loop returns nil once ctx is done, and an error after a stop of the process, or once the caches no longer fill.
func (p *Process) loop(ctx context.Context, a *assembly) error {
	logger := klog.FromContext(ctx)
	defer p.ring.Reports.Wait()
	if !a.manager.GetCache().WaitForCacheSync(ctx) {
		return nil
	}
	// Scale-up alternates between provisioning requests and other pods, so the trigger looks back as far as the loop
	// before the last one.
	last := time.Now()
	for beforeLast, first := last, true; ; first = false {
		waiting := time.Now()
		reason, err := a.trigger.Wait(ctx, beforeLast)
		metrics.UpdateDurationFromStart(metrics.LoopWait, waiting)
		if err != nil {
			return nil
		}
		beforeLast, last = last, time.Now()
		if err := stopped(last.Sub(waiting), p.core.ScanInterval+p.options.AWS.PodSettleLimit); err != nil {
			return err
		}
		if err := informers.Blind(a.informers); err != nil {
			return err
		}
		logger.V(4).Info("Started a loop", "reason", reason, "waited", last.Sub(waiting))
		recorded := p.ring.Begin(a.informers, a.expanders.Priorities(), a.cloud.cache.Snapshot())
		p.decisions.Begin(string(reason), last)
		loop.RunAutoscalerOnce(a.autoscaler, p.health.HealthCheck, last)
		p.decisions.End()
		a.unhelped.Publish()
		a.requested.Publish()
		recorded(p.record.Report)
		if first {
			debug.FreeOSMemory() // memory that only the start needed
		}
	}
}

// stopped returns an error if the wait for a loop took so long that the process must have been stopped, such as with its machine. The
// caches are from before the stop then, but the times to act have passed, as for a node that joined meanwhile.
func stopped(waited, most time.Duration) error {
	if late := waited - most; late > time.Minute {
		return fmt.Errorf("this process was stopped for about %s: it ends, to restart with fresh caches", late.Round(time.Second))
	}
	return nil
}

// cleanUp lets the core clean up after itself, unless its loop still runs: the two do not go together.
func cleanUp(a *assembly, loopEnded <-chan struct{}) {
	select {
	case <-loopEnded:
		a.autoscaler.ExitCleanUp()
	default:
	}
}

func await(ctx context.Context, closed <-chan struct{}) {
	select {
	case <-closed:
	case <-ctx.Done():
	}
}
