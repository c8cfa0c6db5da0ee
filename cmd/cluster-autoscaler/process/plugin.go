package process

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/wait"
	coreoptions "k8s.io/autoscaler/cluster-autoscaler/core/options"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/client-go/kubernetes"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plugin"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/nodegroups"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/nodeinfos"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/informers"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/lifecycle"
)

// serveCore serves an unmodified core until ctx ends. Every replica answers, because the core that leads chooses whom it asks. It returns
// an error if it could not start, did not start in time, or lost a part that it needs.
func (p *Process) serveCore(ctx context.Context) error {
	server, err := plugin.Listen(ctx, p.options.AWS.PluginAddress, p.options.AWS.PluginFiles, p.registerer)
	if err != nil {
		return fmt.Errorf("--asg-plugin-address: %w", err)
	}
	// Everything under the calls outlives ctx and a part that is lost, so that the calls under way can end in peace.
	working, endWork := context.WithCancel(context.WithoutCancel(ctx))
	defer endWork()
	background, alive := errgroup.WithContext(working)
	serving, stopServing := context.WithCancel(ctx)
	defer stopServing()
	defer context.AfterFunc(alive, stopServing)()
	answered := make(chan struct{})
	background.Go(func() error {
		defer close(answered)
		return server.Serve(serving)
	})
	background.Go(func() error { return p.feed(serving, working, background, server) })

	<-serving.Done()
	broken := context.Cause(alive) // nil unless a part has ended
	ended := lifecycle.End(context.WithoutCancel(ctx),
		lifecycle.Step{Name: "calls", Limit: loopEndLimit, Do: func(ctx context.Context) { await(ctx, answered) }},
		lifecycle.Step{Name: "background", Limit: backgroundEndLimit, Do: func(context.Context) {
			server.Stop()
			endWork()
			_ = background.Wait()
		}},
	)
	return cmp.Or(broken, ended)
}

// feed reads the groups and the cluster for the server, and has the background keep them fresh until working ends. Nodes that AWS is about
// to take belong to the replica that has the plugin's lease.
func (p *Process) feed(serving, working context.Context, background *errgroup.Group, server *plugin.Server) error {
	p.lead()
	p.ready.await(firstReading)
	starting, cancel := context.WithTimeout(serving, p.options.MaxStartupTime)
	defer cancel()
	a, parts, err := p.assemblePlugin(starting, working)
	switch {
	case err != nil && serving.Err() != nil:
		return nil
	case err != nil && starting.Err() != nil:
		return fmt.Errorf("not ready after %v: %w", p.options.MaxStartupTime, err)
	case err != nil:
		return err
	}
	server.Ready(parts)
	p.ready.done()
	p.health.watch(a.cloud.cache.Unread)

	for _, run := range a.beside {
		background.Go(func() error { return run(working) })
	}
	background.Go(func() error {
		return wait.PollUntilContextCancel(working, time.Minute, true, func(context.Context) (bool, error) {
			server.Look()
			return false, informers.Blind(a.informers)
		})
	})
	background.Go(func() error { return p.elected(serving, a.handler.Run) })
	<-working.Done()
	a.informers.Shutdown()
	return nil
}

// assemblePlugin builds the parts of a plugin. It returns when all caches are filled. Waiting ends with ctx.
func (p *Process) assemblePlugin(ctx, working context.Context) (*assembly, plugin.Parts, error) {
	var parts plugin.Parts
	client, err := kubernetes.NewForConfig(p.kube)
	if err != nil {
		return nil, parts, err
	}
	p.decisions = p.newDecisions()
	p.decisions.Remote = true
	p.measure()
	factory := informers.New(client, informers.Trim)
	clients, _ := p.kubeClients(working, client, factory)
	opts := coreoptions.AutoscalerOptions{AutoscalingOptions: p.core, KubeClient: client, InformerFactory: factory,
		AutoscalingKubeClients: clients}
	a, err := p.askAWS(ctx, working, opts)
	if err != nil {
		return nil, parts, err
	}
	a.handler.CoreElsewhere = true
	parts = plugin.Parts{Provider: a.cloud.provider, Expander: a.expanders, ZoneIDs: nodeinfos.NewZoneIDs(a.cloud.provider),
		Launchable: &nodegroups.Launchable{Provider: a.cloud.provider}, Nodes: factory.Core().V1().Nodes().Lister(), DaemonSets: factory.Apps().V1().DaemonSets().Lister(),
		StartupTaint: taints.NewTaintConfig(p.core).IsStartupTaint, Refreshed: nextRecord(p.decisions.Begin, p.decisions.End)}
	factory.Start(working.Done())
	return a, parts, p.awaitCaches(ctx, factory)
}

// nextRecord returns the function that ends the record of one loop and begins the next. A core that calls has ended its silence.
func nextRecord(begin func(trigger string, at time.Time), end func()) func(trigger string) {
	last := ""
	return func(trigger string) {
		if last != "" && (last != decision.Silence || trigger == last) {
			end()
		}
		last = trigger
		begin(trigger, time.Now())
	}
}
