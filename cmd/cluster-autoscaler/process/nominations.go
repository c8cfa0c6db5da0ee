package process

import (
	coreoptions "k8s.io/autoscaler/cluster-autoscaler/core/options"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan/nomination"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/options"
)

// newNominations makes the part that nominates planned pods for the nodes that register for them, nil if it is off.
func (p *Process) newNominations(opts coreoptions.AutoscalerOptions, provider *aws.Provider, volumes podzone.Volumes, asked *plan.Plan,
	lostPlace func()) *nomination.Nominator {
	if p.options.AWS.Nominate == options.NominateOff {
		return nil
	}
	return nomination.New(nomination.Options{
		Plan: asked, Client: kubernetes.NewForConfigOrDie(urgent(p.kube)),
		Nodes: opts.InformerFactory.Core().V1().Nodes().Informer(), Pods: opts.InformerFactory.Core().V1().Pods().Informer(),
		Group: provider.GroupNames, Volumes: volumes, StartupTaint: taints.NewTaintConfig(p.core).IsStartupTaint, Events: opts.AutoscalingKubeClients.Recorder, ReadyTime: p.core.NodeGroupDefaults.MaxNodeProvisionTime,
		LostPlace: lostPlace, Registerer: p.registerer, Clock: clock.RealClock{},
	})
}
