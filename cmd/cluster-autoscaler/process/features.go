package process

import (
	"context"
	"fmt"
	"time"

	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	cbv1beta1 "k8s.io/autoscaler/cluster-autoscaler/apis/capacitybuffer/autoscaling.x-k8s.io/v1beta1"
	provreqclientset "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/client/clientset/versioned"
	provreqinformers "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/client/informers/externalversions"
	"k8s.io/autoscaler/cluster-autoscaler/capacitybuffer"
	cbclient "k8s.io/autoscaler/cluster-autoscaler/capacitybuffer/client"
	"k8s.io/autoscaler/cluster-autoscaler/capacitybuffer/fakepods"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	corescaleup "k8s.io/autoscaler/cluster-autoscaler/core/scaleup"
	"k8s.io/autoscaler/cluster-autoscaler/observers/loopstart"
	cbprocessor "k8s.io/autoscaler/cluster-autoscaler/processors/capacitybuffer"
	"k8s.io/autoscaler/cluster-autoscaler/processors/podinjection"
	injectionbackoff "k8s.io/autoscaler/cluster-autoscaler/processors/podinjection/backoff"
	"k8s.io/autoscaler/cluster-autoscaler/processors/pods"
	"k8s.io/autoscaler/cluster-autoscaler/processors/provreq"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/besteffortatomic"
	"k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/checkcapacity"
	provreqorchestrator "k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/orchestrator"
	"k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/provreqclient"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/buffers"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/loop"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/podlist"
)

// features are the core's optional features, which flags switch on. All fields of a feature that is off are nil.
type features struct {
	injection injection
	buffers   capacityBuffers
	requests  requests
}

// newFeatures makes the features that are on. It waits until their objects have been read once, but not beyond ctx.
// The controller of buffers and the informer of requests end with working.
func (p *Process) newFeatures(ctx, working context.Context, client kubernetes.Interface,
	factory informers.SharedInformerFactory) (f features, err error) {
	f.injection = newInjection(p.core)
	if f.buffers, err = p.startBuffers(ctx, working, client, factory); err != nil {
		return f, fmt.Errorf("capacity buffers: %w", err)
	}
	if p.requests {
		f.requests.filter = provreq.NewProvisioningRequestPodsFilter(provreq.NewDefautlEventManager())
	} else if p.core.ProvisioningRequestEnabled {
		requests, err := p.readRequests(ctx, working, factory)
		if err != nil {
			return f, fmt.Errorf("provisioning requests: %w", err)
		}
		f.requests = newRequests(p.core, requests)
	}
	return f, nil
}

// injection lets pods that controllers have yet to create cause scale-up (--enable-proactive-scaleup).
type injection struct {
	pods, limit pods.PodListProcessor
	status      corestatus.ScaleUpStatusProcessor
}

func newInjection(core config.AutoscalingOptions) injection {
	if !core.ProactiveScaleupEnabled {
		return injection{}
	}
	registry := injectionbackoff.NewFakePodControllerRegistry()
	return injection{
		pods: &podlist.Fakes{PodListProcessor: &podlist.Bounded{PodListProcessor: podinjection.NewPodInjectionPodListProcessor(registry),
			LeftOut: registry, Limit: core.PodInjectionLimit, Clock: clock.RealClock{}}, Allowed: core.AllowedSchedulers},
		limit:  podinjection.NewEnforceInjectedPodsLimitProcessor(core.PodInjectionLimit),
		status: podinjection.NewFakePodsScaleUpStatusProcessor(registry),
	}
}

// capacityBuffers lets the pods of CapacityBuffer objects cause scale-up (--capacity-buffer-pod-injection-enabled).
type capacityBuffers struct {
	*buffers.Buffers
	pods, room pods.PodListProcessor
	status     corestatus.ScaleUpStatusProcessor
}

// startBuffers also runs the controller of CapacityBuffer objects, if its flag says so. Without a client for them the autoscaler
// logs an error and works on without buffers, as stock does. The caches of the factory come first, because awaitCaches
// says which of them do not fill.
func (p *Process) startBuffers(ctx, working context.Context, kube kubernetes.Interface,
	factory informers.SharedInformerFactory) (none capacityBuffers, err error) {
	if !p.core.CapacitybufferControllerEnabled && !p.core.CapacitybufferPodInjectionEnabled {
		return none, nil
	}
	if err := p.awaitCaches(ctx, factory); err != nil {
		return none, err
	}
	all, err := buffers.New(ctx, forCustomResources(p.kube))
	switch {
	case err != nil && ctx.Err() != nil:
		return none, err
	case err != nil:
		klog.FromContext(working).Error(err, "Capacity buffers are out of use: no client for them")
		return none, nil
	}
	if p.core.CapacitybufferControllerEnabled {
		var resolver fakepods.Resolver = fakepods.NewDefaultingResolver()
		if p.core.CapacityBufferPodDryRunEnabled {
			resolver = fakepods.NewDryRunResolver(kube)
		}
		all.Control(working, resolver)
	}
	if !p.core.CapacitybufferPodInjectionEnabled {
		return capacityBuffers{Buffers: all}, nil
	}
	client, err := all.Loop(p.core.PodInjectionLimit)
	return newBuffers(all, client), err
}

// Events about buffers need their kind in the scheme of client-go. All clients read it without a lock, so it is there before the first of them.
func init() { utilruntime.Must(cbv1beta1.AddToScheme(clientgoscheme.Scheme)) }

func newBuffers(all *buffers.Buffers, client *cbclient.CapacityBufferClient) capacityBuffers {
	core := cbprocessor.NewCapacityBufferPodListProcessor(client, []string{capacitybuffer.ActiveProvisioningStrategy}, all.Registry, true)
	return capacityBuffers{
		Buffers: all,
		pods:    &podlist.Fakes{PodListProcessor: core, Buffer: all.Registry.GetCapacityBuffer},
		room:    all,
		status:  cbprocessor.NewFakePodsScaleUpStatusProcessor(all.Registry),
	}
}

// requests serves ProvisioningRequest objects (--enable-provisioning-requests).
type requests struct {
	consumers, filter, injector, processor pods.PodListProcessor

	orchestrator corescaleup.Orchestrator
	enforcer     pods.ScaleUpEnforcer
	loopStart    []loopstart.Observer
	productive   []loop.ProductiveLoop
}

const provisioningResync = time.Hour

// readRequests fills the cache of ProvisioningRequests and returns the client that reads it.
func (p *Process) readRequests(ctx, working context.Context, kube informers.SharedInformerFactory) (*provreqclient.ProvisioningRequestClient, error) {
	clientset := provreqclientset.NewForConfigOrDie(forCustomResources(p.kube))
	factory := provreqinformers.NewSharedInformerFactory(clientset, provisioningResync)
	client := provreqclient.NewProvisioningRequestClient(clientset, factory.Autoscaling().V1().ProvisioningRequests().Lister(),
		kube.Core().V1().PodTemplates().Lister())
	factory.Start(working.Done())
	return client, p.awaitCaches(ctx, factory)
}

func newRequests(core config.AutoscalingOptions, client *provreqclient.ProvisioningRequestClient) requests {
	newInjector := func() *provreq.ProvisioningRequestPodsInjector {
		return provreq.NewProvisioningRequestPodsInjector(client,
			core.ProvisioningRequestInitialBackoffTime, core.ProvisioningRequestMaxBackoffTime,
			core.ProvisioningRequestMaxBackoffCacheSize, core.CheckCapacityBatchProcessing, core.CheckCapacityProcessorInstance)
	}
	injector := newInjector()
	// The class checks in batches if it has an injector. Both ask whether a request is due, and the answer yes begins its next pause.
	var batch *provreq.ProvisioningRequestPodsInjector
	if core.CheckCapacityBatchProcessing {
		batch = newInjector()
	}
	processor := provreq.NewProvReqProcessor(client, core.CheckCapacityProcessorInstance)
	return requests{
		consumers: podlist.Consumers{Client: client, Clock: clock.RealClock{}},
		filter:    provreq.NewProvisioningRequestPodsFilter(provreq.NewDefautlEventManager()),
		injector:  injector,
		processor: processor,
		orchestrator: provreqorchestrator.NewWrapperOrchestrator(provreqorchestrator.New(client,
			[]provreqorchestrator.ProvisioningClass{checkcapacity.New(client, batch), besteffortatomic.New(client)})),
		enforcer:   provreq.NewProvisioningRequestScaleUpEnforcer(),
		loopStart:  []loopstart.Observer{processor},
		productive: []loop.ProductiveLoop{{Reason: "provisioning request", Last: injector.LastProvisioningRequestProcessTime}},
	}
}
