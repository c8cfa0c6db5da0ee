package process

import (
	"fmt"

	"k8s.io/client-go/informers"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/decisionmetrics"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/status"
)

// newMeasures registers the metrics of the record, and returns the adapter that times pods.
func (p *Process) newMeasures(factory informers.SharedInformerFactory) (*status.Reaction, error) {
	reaction := status.NewReaction(p.measure(), clock.RealClock{})
	if _, err := factory.Core().V1().Pods().Informer().AddEventHandler(reaction.PodHandler()); err != nil {
		return nil, fmt.Errorf("watch pods that wait for a node: %w", err)
	}
	return reaction, nil
}

func (p *Process) measure() *decisionmetrics.Metrics {
	measures := decisionmetrics.New(decisionmetrics.Options{
		Registerer: legacyregistry.Registerer(), Report: p.record.Report, PerNodeGroup: p.core.EmitPerNodeGroupMetrics})
	p.record.Observe(measures)
	return measures
}
