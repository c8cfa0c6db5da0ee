package process

import (
	coreoptions "k8s.io/autoscaler/cluster-autoscaler/core/options"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
)

// newInterruptions makes the handler that drains the nodes which AWS is about to take, and the channel by which it wakes the loop.
// Without a queue the handler only reboots nodes for repairs, and finishes drains that an earlier process has begun.
func (p *Process) newInterruptions(opts coreoptions.AutoscalerOptions, cloud *cloud,
	events record.EventRecorder) (*interruption.Handler, <-chan struct{}) {
	kube := urgent(p.kube) // the rate of each client
	wake := make(chan struct{}, 1)
	flags, nodes := p.options.AWS, opts.InformerFactory.Core().V1().Nodes().Informer()
	handler := interruption.New(interruption.Options{
		Groups: cloud.cache, Hooks: cloud.clients.AutoScaling, EC2: cloud.clients.EC2, SQS: cloud.clients.SQS, Queue: flags.InterruptionQueue,
		Cordons: kubernetes.NewForConfigOrDie(kube), Client: kubernetes.NewForConfigOrDie(kube), Nodes: nodes,
		Pods: opts.InformerFactory.Core().V1().Pods().Informer(), Events: events,
		AtDeadline: flags.InterruptionDeadline, Rebalance: flags.Rebalance, Draining: p.decisions.Draining,
		Full: func(group string) bool {
			most := p.core.MaxNodesTotal
			return cloud.provider.AtCap(group) || most > 0 && len(nodes.GetStore().ListKeys()) >= most
		},
		Halted:     p.decisions.Halted,
		Elsewhere:  cloud.provider.Elsewhere,
		SeeCluster: cloud.provider.SeeCluster,
		Wake: func() {
			select {
			case wake <- struct{}{}:
			default: // a loop is wanted already
			}
		},
		Registerer: p.registerer, Clock: clock.RealClock{},
	})
	return handler, wake
}
