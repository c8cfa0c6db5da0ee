package main

import (
	"context"
	"fmt"
	"time"

	provreqclientset "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/client/clientset/versioned"
	provreqinformers "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/client/informers/externalversions"
	coreoptions "k8s.io/autoscaler/cluster-autoscaler/core/options"
	"k8s.io/autoscaler/cluster-autoscaler/observers/loopstart"
	"k8s.io/autoscaler/cluster-autoscaler/processors/pods"
	"k8s.io/autoscaler/cluster-autoscaler/processors/provreq"
	"k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/besteffortatomic"
	"k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/checkcapacity"
	provreqorchestrator "k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/orchestrator"
	"k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/provreqclient"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/loop"
)

// provisioningResync is how often all ProvisioningRequests are looked at again.
const provisioningResync = time.Hour

// addProvisioningRequests makes the core serve ProvisioningRequest objects. It waits until they have been read once, but
// not beyond ctx. The result tells when one was last worked on.
func (p *process) addProvisioningRequests(ctx, working context.Context, opts *coreoptions.AutoscalerOptions,
	podList *pods.CombinedPodListProcessor) (*loop.ProductiveLoop, error) {
	clientset, err := provreqclientset.NewForConfig(forCustomResources(p.kube))
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	factory := provreqinformers.NewSharedInformerFactory(clientset, provisioningResync)
	client := provreqclient.NewProvisioningRequestClient(clientset, factory.Autoscaling().V1().ProvisioningRequests().Lister(),
		opts.InformerFactory.Core().V1().PodTemplates().Lister())
	factory.Start(working.Done())
	if err := p.awaitCaches(ctx, factory); err != nil {
		return nil, err
	}

	injector := provreq.NewProvisioningRequestPodsInjector(client,
		p.core.ProvisioningRequestInitialBackoffTime, p.core.ProvisioningRequestMaxBackoffTime,
		p.core.ProvisioningRequestMaxBackoffCacheSize, p.core.CheckCapacityBatchProcessing, p.core.CheckCapacityProcessorInstance)
	var batch *provreq.ProvisioningRequestPodsInjector // the class checks in batches if it is given the injector
	if p.core.CheckCapacityBatchProcessing {
		batch = injector
	}
	processor := provreq.NewProvReqProcessor(client, p.core.CheckCapacityProcessorInstance)
	podList.AddProcessor(provreq.NewProvisioningRequestPodsFilter(provreq.NewDefautlEventManager()))
	podList.AddProcessor(injector)
	podList.AddProcessor(processor)
	opts.ScaleUpOrchestrator = provreqorchestrator.NewWrapperOrchestrator(
		provreqorchestrator.New(client, []provreqorchestrator.ProvisioningClass{
			checkcapacity.New(client, batch),
			besteffortatomic.New(client),
		}))
	opts.LoopStartNotifier = loopstart.NewObserversList([]loopstart.Observer{processor})
	opts.Processors.ScaleUpEnforcer = provreq.NewProvisioningRequestScaleUpEnforcer()
	return &loop.ProductiveLoop{Reason: "provisioning request", Last: injector.LastProvisioningRequestProcessTime}, nil
}
