package fakeaws

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// managedByKWOK selects the nodes KWOK keeps alive.
	managedByKWOK = "kwok.x-k8s.io/node"
	// keptNotReady keeps KWOK from making a node Ready (test/emulator/controlplane).
	keptNotReady = "controlplane/not-ready"
	// labelEBSZone is the zone as the EBS driver names it.
	labelEBSZone = "topology.ebs.csi.aws.com/zone"
)

// A nodeSpec is a Node to register, with the resources its device plugins publish some time after it is Ready.
type nodeSpec struct {
	node        *corev1.Node
	origin      Event // names group, instance and pool
	devices     corev1.ResourceList
	gpuDelay    time.Duration // below zero for never
	volumeLimit int32         // of the EBS driver, 0 for none
	readyDelay  time.Duration // 0 for none, below zero for never

	startupTaints []corev1.Taint // among the Node's
	startupDelay  time.Duration  // from Ready until they go, below zero for never
}

// nodeSpec is the Node an instance registers as on EKS.
func (a *account) nodeSpec(i *instance) nodeSpec {
	t, _ := a.types.lookup(i.pool.instanceType)
	g := i.group
	delay := first(g.GPUAfterReady, a.delays.GPU)
	ready := time.Duration(g.ReadyAfter)
	if g.ReadyJitter > 0 && ready > 0 {
		ready += time.Duration(a.random.Int64N(int64(g.ReadyJitter)))
	}
	return nodeSpec{
		node:        a.node(i, t),
		origin:      i.event(NodeRegistered),
		devices:     devices(t, g.NodeConfig),
		gpuDelay:    time.Duration(delay),
		volumeLimit: g.VolumeLimit,
		readyDelay:  ready,

		startupTaints: parseTaints(g.StartupTaints),
		startupDelay:  time.Duration(first(g.StartupTaintsAfterReady, Duration(time.Second))),
	}
}

// NextNode returns the Node that the group's next instance registers as, with the resources that device plugins publish later. It
// has the names and addresses of no instance. It fails if the group has nothing to launch.
func (s *Server) NextNode(group string) (*corev1.Node, error) {
	a := s.account
	a.mu.Lock()
	defer a.mu.Unlock()
	g, ok := a.groups[group]
	if !ok {
		return nil, noGroup(group)
	}
	candidates, failure := a.candidates(g)
	if failure != nil {
		return nil, fmt.Errorf("next node of %q: %s", group, failure.text)
	}
	c := candidates[0]
	spec := a.nodeSpec(&instance{
		group: g, pool: pool{c.instanceType, g.Zones[0], g.capacityTypeOf(c, 0, 0)}, template: c.template, config: c.config, imageID: c.imageID,
	})
	if spec.gpuDelay >= 0 {
		maps.Copy(spec.node.Status.Capacity, spec.devices)
		maps.Copy(spec.node.Status.Allocatable, spec.devices)
	}
	if spec.startupDelay >= 0 {
		spec.node.Spec.Taints = withoutTaints(spec.node.Spec.Taints, spec.startupTaints)
	}
	delete(spec.node.Labels, corev1.LabelHostname)
	spec.node.Spec.ProviderID, spec.node.Status.Addresses = "", nil
	return spec.node, nil
}

func (a *account) node(i *instance, t InstanceType) *corev1.Node {
	capacity := nodeCapacity(t, i.group.MaxPods, a.rootGiB(i))
	annotations := map[string]string{managedByKWOK: "fake"}
	var conditions []corev1.NodeCondition
	if i.group.ReadyAfter != 0 {
		annotations[keptNotReady] = "true"
		// As kubelet's. The node lifecycle controller lifts the not-ready taint from a Node without conditions.
		conditions = []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: corev1.ConditionFalse, Reason: "KubeletNotReady", Message: "container runtime network not ready",
			LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now(),
		}}
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: i.nodeName, Labels: a.nodeLabels(i, t), Annotations: annotations},
		Spec: corev1.NodeSpec{
			ProviderID: "aws:///" + i.pool.zone + "/" + i.id,
			Taints:     nodeTaints(i),
		},
		Status: corev1.NodeStatus{
			Capacity:    capacity,
			Allocatable: allocatable(t, capacity),
			Conditions:  conditions,
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: i.ip()},
				{Type: corev1.NodeInternalDNS, Address: i.nodeName},
				{Type: corev1.NodeHostName, Address: i.nodeName},
			},
			NodeInfo: corev1.NodeSystemInfo{
				MachineID: hexID(32, "machine", i.id), SystemUUID: uuidOf("system", i.id), BootID: bootID(i),
				KernelVersion: "6.12.40-64.114.amzn2023." + t.awsArchitecture(), OSImage: "Amazon Linux 2023.9.20260801",
				ContainerRuntimeVersion: "containerd://2.1.4", KubeletVersion: "v1.35.0-eks-3cfe0ce",
				OperatingSystem: "linux", Architecture: t.Architecture,
			},
		},
	}
}

// nodeLabels are the labels that kubelet, the cloud controllers and the bootstrap of the group set.
func (a *account) nodeLabels(i *instance, t InstanceType) map[string]string {
	labels := map[string]string{
		corev1.LabelArchStable:              t.Architecture,
		"beta.kubernetes.io/arch":           t.Architecture,
		corev1.LabelOSStable:                "linux",
		"beta.kubernetes.io/os":             "linux",
		corev1.LabelHostname:                i.nodeName,
		corev1.LabelInstanceTypeStable:      t.Name,
		corev1.LabelInstanceType:            t.Name,
		corev1.LabelTopologyRegion:          a.region,
		corev1.LabelFailureDomainBetaRegion: a.region,
		corev1.LabelTopologyZone:            i.pool.zone,
		corev1.LabelFailureDomainBetaZone:   i.pool.zone,
		labelEBSZone:                        i.pool.zone,
		"topology.k8s.aws/zone-id":          zoneID(a.region, i.pool.zone),
	}
	maps.Copy(labels, i.group.NodeLabels)
	if i.pool.capacityType == spot {
		maps.Copy(labels, i.group.SpotNodeLabels)
	}
	return labels
}

func nodeTaints(i *instance) []corev1.Taint {
	texts := slices.Concat(i.group.NodeTaints, i.group.StartupTaints)
	if i.pool.capacityType == spot {
		texts = append(texts, i.group.SpotNodeTaints...)
	}
	return parseTaints(texts)
}

// withoutTaints returns the taints but those of the same key and effect as any of lifted.
func withoutTaints(taints, lifted []corev1.Taint) []corev1.Taint {
	return slices.DeleteFunc(slices.Clone(taints), func(t corev1.Taint) bool {
		return slices.ContainsFunc(lifted, func(l corev1.Taint) bool { return t.MatchTaint(&l) })
	})
}

func parseTaints(texts []string) []corev1.Taint {
	var taints []corev1.Taint
	for _, text := range texts {
		taint, err := parseTaint(text)
		if err == nil { // checked when the group came
			taints = append(taints, taint)
		}
	}
	return taints
}

func parseTaint(text string) (corev1.Taint, error) {
	i := strings.LastIndex(text, ":")
	if i < 1 {
		return corev1.Taint{}, fmt.Errorf("taint %q: write key=value:NoSchedule", text)
	}
	key, value, _ := strings.Cut(text[:i], "=")
	effect := corev1.TaintEffect(text[i+1:])
	switch effect {
	case corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute, corev1.TaintEffectPreferNoSchedule:
		return corev1.Taint{Key: key, Value: value, Effect: effect}, nil
	}
	return corev1.Taint{}, fmt.Errorf("taint %q: effect is NoSchedule, NoExecute or PreferNoSchedule", text)
}

func (i *instance) ip() string {
	return fmt.Sprintf("%d.%d.%d.%d", i.address[0], i.address[1], i.address[2], i.address[3])
}

// rootGiB is the size of the instance's root volume, from its template, its image, or 20 GiB.
func (a *account) rootGiB(i *instance) int {
	const usual = 20
	devices := a.version(i).BlockDevices
	if i.template == nil {
		devices = a.configs[i.config].BlockDevices
	}
	img := a.images[i.imageID]
	root := first(img.RootDevice, "/dev/xvda")
	for _, d := range append(devices[:len(devices):len(devices)], img.BlockDevices...) {
		if d.DeviceName == root && d.SizeGiB > 0 {
			return d.SizeGiB
		}
	}
	return usual
}

const ebsDriver = "ebs.csi.aws.com"

// csiNode is kubelet's report of the EBS driver on a Node, under the Node's name.
func csiNode(node, instanceID string, volumeLimit int32) *storagev1.CSINode {
	return &storagev1.CSINode{
		ObjectMeta: metav1.ObjectMeta{Name: node},
		Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{{
			Name: ebsDriver, NodeID: instanceID, TopologyKeys: []string{labelEBSZone},
			Allocatable: &storagev1.VolumeNodeResources{Count: &volumeLimit},
		}}},
	}
}

// createCSINode publishes the Node's EBS driver, if it runs one. It comes before the Node, because kubelet is not Ready before
// it, and no pod may see the Node without its limit. So no Node can own it, and it is deleted with the Node.
func (p *publisher) createCSINode(ctx context.Context, n *publishedNode) error {
	if n.volumeLimit == 0 {
		return nil
	}
	_, err := p.client.StorageV1().CSINodes().Create(ctx, csiNode(n.node.Name, n.origin.Instance, n.volumeLimit), metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create CSINode: %w", err)
	}
	return nil
}

func (p *publisher) deleteCSINode(ctx context.Context, n *publishedNode) error {
	if n.volumeLimit == 0 {
		return nil
	}
	if err := p.client.StorageV1().CSINodes().Delete(ctx, n.node.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete CSINode: %w", err)
	}
	return nil
}
