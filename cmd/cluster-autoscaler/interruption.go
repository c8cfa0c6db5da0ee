package main

import (
	"fmt"

	coreoptions "k8s.io/autoscaler/cluster-autoscaler/core/options"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
)

// interruptionQPS and interruptionBurst are the least rate at which nodes are cordoned and pods evicted for interruptions,
// whatever --kube-client-qps and --kube-client-burst say. A hundred instances may get their two minutes at the same moment.
const (
	interruptionQPS   = 200
	interruptionBurst = 400
)

// interruptions drain the nodes that AWS is about to take.
type interruptions struct {
	handler *interruption.Handler
	wake    chan struct{} // has a token when a loop is wanted now
}

// newInterruptions makes the handler of interruptions. Without a queue it only finishes drains that an earlier process has begun.
func (p *process) newInterruptions(opts coreoptions.AutoscalerOptions, cloud *cloud) (*interruptions, error) {
	kube := rest.CopyConfig(p.kube)
	kube.QPS, kube.Burst = max(kube.QPS, interruptionQPS), max(kube.Burst, interruptionBurst)
	cordons, err := kubeClient(kube)
	if err != nil {
		return nil, err
	}
	client, err := kubeClient(kube)
	if err != nil {
		return nil, err
	}
	wake := make(chan struct{}, 1)
	flags := p.options.AWS
	handler, err := interruption.New(interruption.Options{
		Groups: cloud.cache, Hooks: cloud.clients.AutoScaling, SQS: cloud.clients.SQS, Queue: flags.InterruptionQueue,
		Cordons: cordons, Client: client, Nodes: opts.InformerFactory.Core().V1().Nodes().Informer(),
		Pods: opts.InformerFactory.Core().V1().Pods().Informer(), Events: opts.AutoscalingKubeClients.Recorder,
		AtDeadline: flags.InterruptionDeadline, Rebalance: flags.Rebalance,
		Wake: func() {
			select {
			case wake <- struct{}{}:
			default: // a loop is wanted already
			}
		},
		Registerer: legacyregistry.Registerer(), Clock: clock.RealClock{},
	})
	if err != nil {
		return nil, fmt.Errorf("interruptions: %w", err)
	}
	return &interruptions{handler: handler, wake: wake}, nil
}
