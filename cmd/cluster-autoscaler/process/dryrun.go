package process

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/smithy-go/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"k8s.io/autoscaler/cluster-autoscaler/debuggingsnapshot"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/dryrun"
)

const maxDryLoops = 100

// Question is what a dry run has to find out.
type Question struct {
	// Nodes asks why nodes stay or go. Without it the loops look for no node to remove, which takes long in a large cluster.
	Nodes bool
	// Remove asks whether this node could go, as if somebody had asked for that. It needs Nodes.
	Remove string
	// Enough reports whether the decisions of the loops so far are an answer.
	Enough func(*decision.Report) bool
	// AWS answers reads in AWS's place. With none AWS does.
	AWS []func(*middleware.Stack) error
}

// DryRun runs loops over what the API server and AWS answer to reads, and returns their decisions. No write leaves the process: a
// Guard answers all of them. The loops are those of a new autoscaler, which knows of no cool-down
// and of no delay that has begun. They end when one launches nothing, with provisioning requests two in a row, or when they are enough.
//
// It ends early with ctx, and where the groups or a kind of object cannot be read. A Process does one DryRun, and does not Run then.
func (p *Process) DryRun(ctx context.Context, kube *rest.Config, asked Question) (*decision.Report, error) {
	kube, err := asFlagged(kube, p.core.KubeClientOpts)
	if err != nil {
		return nil, err
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	p.guard = dryrun.New(fail)
	p.remove = asked.Remove
	p.kube = p.guard.Kube(kube)
	p.middleware = append(slices.Clone(asked.AWS), p.guard.AWS) // the last one sees a call first
	p.registerer, p.record = prometheus.NewRegistry(), decision.New(p.facts("", false), clock.RealClock{})
	p.snapshotter = debuggingsnapshot.NewDebuggingSnapshotter(false)
	p.options.ScaleDown = p.options.ScaleDown && asked.Nodes
	p.core.WriteStatusConfigMap, p.core.MaxBulkSoftTaintCount, p.core.CapacitybufferControllerEnabled = false, 0, false

	a, err := p.assemble(ctx, ctx)
	if err != nil {
		return nil, because(ctx, err)
	}
	background, alive := errgroup.WithContext(ctx)
	background.Go(func() error { return a.manager.Start(alive) })
	defer func() {
		fail(nil)
		_ = background.Wait()
		a.informers.Shutdown()
	}()
	if !a.manager.GetCache().WaitForCacheSync(alive) {
		return nil, because(ctx, fmt.Errorf("read the quotas: %w", context.Cause(alive)))
	}
	if a.cloud.spot != nil {
		a.cloud.spot.Read(ctx)
	}
	a.cloud.provider.LookUp(ctx) // once, what the provider looks up beside the loops
	var report *decision.Report
	idle, most := 0, 1 // loops in a row that launched nothing
	if p.core.ProvisioningRequestEnabled {
		most = 2 // because requests and other pods take turns
	}
	for range maxDryLoops {
		now, launches := time.Now(), p.guard.Launches()
		p.decisions.Begin("dry run", now)
		if err := a.autoscaler.RunOnce(now); err != nil {
			return nil, because(ctx, fmt.Errorf("the loop: %w", err))
		}
		if err := a.cloud.provider.AwaitIncreases(ctx); err != nil || ctx.Err() != nil { // its end cuts reads off
			return nil, because(ctx, fmt.Errorf("the launches of the loop: %w", err))
		}
		p.decisions.End()
		report = dryrun.Join(report, p.record.Report())
		if idle++; p.guard.Launches() != launches {
			idle = 0
		}
		if !a.cloud.provider.Dividing() && (asked.Enough(report) || idle >= most) {
			break
		}
	}
	klog.FromContext(ctx).V(1).Info("Kept the writes of the loops to itself", "writes", p.guard.Answered())
	return report, nil
}

// because is the cause for which ctx has ended, or else the error.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
