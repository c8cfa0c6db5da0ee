package process

import (
	"time"

	"k8s.io/client-go/informers"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/shadow"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/dryrun"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/options"
)

// shadowReads is the time between two readings of the groups, at most. It is the most that the leader's raise may be older than it looks.
const shadowReads = 5 * time.Second

// withoutWrites makes the process a shadow. It switches off all that writes, and a Guard in all clients refuses what it has missed. Features with
// objects of their own, such as requests and buffers, stay with the leader, and so do minimum sizes.
func (p *Process) withoutWrites() {
	p.refusing = dryrun.Refusing(p.core.ConfigNamespace, p.options.LeaderElection.ResourceName)
	p.kube = p.refusing.Kube(p.kube)
	p.middleware = append(p.middleware, p.refusing.AWS)

	core, ours := &p.core, &p.options.AWS
	core.WriteStatusConfigMap = false
	core.MaxBulkSoftTaintCount = -1 // with 0 the core takes all such taints off at its start
	core.ParallelScaleUp = false    // see aws.Provider.Pretended
	core.ForceDeleteLongUnregisteredNodes, core.ForceDeleteFailedNodes = false, false
	p.requests = core.ProvisioningRequestEnabled
	core.ProvisioningRequestEnabled, core.ProactiveScaleupEnabled = false, false
	core.CapacitybufferControllerEnabled, core.CapacitybufferPodInjectionEnabled = false, false
	core.EnforceNodeGroupMinSize = false
	ours.Nominate, ours.InterruptionQueue, ours.RefreshInterval = options.NominateOff, "", min(ours.RefreshInterval, shadowReads)
}

// newShadow makes the comparison with the leader, nil where the process leads.
func (p *Process) newShadow(provider *aws.Provider, factory informers.SharedInformerFactory) *shadow.Shadow {
	if p.refusing == nil {
		return nil
	}
	s := shadow.New(shadow.Options{Provider: provider, Pods: factory.Core().V1().Pods().Lister(), Last: p.record.Report, Clock: clock.RealClock{},
		Refused: func() int { return len(p.refusing.Answered()) }})
	p.record.ShadowFrom(s.Report)
	_, _ = factory.Core().V1().Nodes().Informer().AddEventHandler(s.NodeHandler()) // which fails only at the end of the process
	return s
}
