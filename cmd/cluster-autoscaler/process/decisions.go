package process

import (
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/decisionmetrics"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/decisions"
)

func (p *Process) facts(region string, leads bool) decision.Process {
	return decision.Process{Version: p.version, Cluster: p.options.AWS.ClusterName, Region: region, Started: started, Leader: leads,
		Plugin: p.options.AWS.PluginAddress != "", Expander: p.core.ExpanderNames, Flags: p.flags, Off: p.off}
}

var started = clock.RealClock{}.Now()

func (p *Process) measure() *decisionmetrics.Metrics {
	measures := decisionmetrics.New(decisionmetrics.Options{
		Registerer: legacyregistry.Registerer(), Report: p.record.Report, PerNodeGroup: p.core.EmitPerNodeGroupMetrics})
	p.record.Observe(measures)
	return measures
}

func (p *Process) newDecisions() *decisions.Collector {
	return decisions.New(decisions.Config{Record: p.record, Core: p.core, Clock: clock.RealClock{}, ScaleDown: p.options.ScaleDown})
}

// lead shows the process as the leader in the record, before it has read anything.
func (p *Process) lead() {
	p.record.SetProcess(p.facts("", true), func() []decision.Call { return nil })
}

// follow shows the groups and the nodes to the collector, and the calls and the region of the AWS clients in the record.
func (p *Process) follow(a *assembly, in aws.Options) {
	p.decisions.Provider, p.decisions.Nodes = a.cloud.provider, in.Nodes.Lister()
	p.decisions.Cluster = a.cloud.cache.Cluster
	p.record.SetProcess(p.facts(a.cloud.clients.Region, true), func() []decision.Call {
		var calls []decision.Call
		for _, c := range a.cloud.clients.Calls() {
			calls = append(calls, decision.Call{Action: c.Action, Count: c.All, Throttled: c.Throttled, Failed: c.Failed})
		}
		return calls
	})
}
