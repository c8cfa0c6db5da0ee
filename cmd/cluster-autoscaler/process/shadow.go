package process

import (
	"context"

	kubeutil "k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/shadow"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/dryrun"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/options"
)

// withoutWrites makes the process a shadow. It switches off all that writes, and a Guard in all clients refuses what it has missed. The client of the
// lease has none. Features with objects of their own, such as requests and buffers, stay with the leader.
func (p *Process) withoutWrites() {
	p.refusing, p.leases = dryrun.Refusing(), p.kube
	p.kube = p.refusing.Kube(p.kube)
	p.middleware = append(p.middleware, p.refusing.AWS)

	core, ours := &p.core, &p.options.AWS
	core.WriteStatusConfigMap = false
	core.MaxBulkSoftTaintCount = -1 // with 0 the core takes all such taints off at its start
	core.ParallelScaleUp = false    // see aws.Provider.Pretended
	core.ForceDeleteLongUnregisteredNodes, core.ForceDeleteFailedNodes = false, false
	core.ProvisioningRequestEnabled, core.ProactiveScaleupEnabled = false, false
	core.CapacitybufferControllerEnabled, core.CapacitybufferPodInjectionEnabled = false, false
	ours.Nominate, ours.InterruptionQueue = options.NominateOff, ""
}

// recorder is the core's recorder of events. That of a shadow drops them.
func (p *Process) recorder(ctx context.Context, client kubernetes.Interface, duplicates bool) record.EventRecorder {
	if p.refusing != nil {
		return &record.FakeRecorder{}
	}
	return kubeutil.CreateEventRecorder(ctx, client, duplicates)
}

// newShadow makes the comparison with the leader, nil where the process leads.
func (p *Process) newShadow(provider *aws.Provider, factory informers.SharedInformerFactory) (*shadow.Shadow, error) {
	if p.refusing == nil {
		return nil, nil
	}
	nodes := factory.Core().V1().Nodes()
	s := shadow.New(provider, nodes.Lister(), func() int { return len(p.refusing.Answered()) }, clock.RealClock{})
	p.record.ShadowFrom(s.Report)
	p.watches.Store(s)
	_, err := nodes.Informer().AddEventHandler(s.NodeHandler())
	return s, err
}
