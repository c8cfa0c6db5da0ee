package nodetemplate

import "github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"

// Managed node groups without an image of their own cap the pods of a node (EKS user guide, "Choosing an optimal
// Amazon EC2 node instance type", read 2026-08).
const (
	managedMaxPods      = 110
	managedMaxPodsLarge = 250
	managedLargeVCPU    = 30 // from here on the larger cap applies
)

// maxPods returns the number of pods on a node of type t, and its source. User data overrules observed nodes, those overrule
// the CNI's settings, and these the plain formula. The cap of a managed node group overrules everything that is not observed,
// unless the group brings its own image.
func (in *Input) maxPods(t instancetypes.Type, d Declared) (int64, Source) {
	pods, source := in.unboundedPods(t, d)
	ud := in.UserData
	if ud != nil && ud.MostPods > 0 && int64(ud.MostPods) < pods {
		pods, source = int64(ud.MostPods), Source{Kind: SourceUserData, Detail: "max pods of one launch template or branch"}
	}
	if ud != nil && ud.PodsPerCore > 0 && int64(ud.PodsPerCore*t.VCPU) < pods {
		pods, source = int64(ud.PodsPerCore*t.VCPU), Source{Kind: SourceUserData, Detail: "pods per core"}
	}
	return pods, source
}

func (in *Input) unboundedPods(t instancetypes.Type, d Declared) (int64, Source) {
	pods, source := int64(t.ENIMaxPods()), Source{Kind: SourceFormula, Detail: "addresses of the network interfaces"}
	// Only the images of EKS have kubelet count addresses, whatever the CNI.
	if pods == 0 || in.Family() == Windows || in.CNI.Other && in.Family() == "" && !in.managed(d) {
		pods, source = defaultMaxPods, Source{Kind: SourceDefault, Detail: "kubelet's default"}
	}
	m, seen := in.measured(t)
	switch ud := in.UserData; {
	case ud != nil && ud.MaxPods > 0:
		pods, source = int64(ud.MaxPods), Source{Kind: SourceUserData, Detail: "max pods"}
	case ud != nil && ud.PodsExpression.Understood() && t.ENIMaxPods() > 0:
		pods, _ = ud.PodsExpression.pods(t)
		source = Source{Kind: SourceUserData, Detail: "maxPodsExpression"}
	case ud != nil && ud.IgnoreAddresses:
		pods, source = defaultMaxPods, Source{Kind: SourceUserData, Detail: "kubelet's default, as addresses are not to count"}
	case seen:
		return m.capacity.pods, observedSource(t) // the cap is in it
	case in.followsCNI(d) && t.ENIMaxPods() > 0:
		pods, source = in.CNI.addressable(t), Source{Kind: SourceCNI, Detail: in.CNI.String()}
	}
	limit := int64(managedMaxPods)
	if t.VCPU >= managedLargeVCPU {
		limit = managedMaxPodsLarge
	}
	if in.managed(d) && pods > limit {
		if source.Kind == SourceCNI {
			return limit, Source{Kind: SourceCNI, Detail: source.Detail + ", up to the cap of EKS managed node groups"}
		}
		return limit, Source{Kind: SourceFormula, Detail: "cap of EKS managed node groups"}
	}
	return pods, source
}
