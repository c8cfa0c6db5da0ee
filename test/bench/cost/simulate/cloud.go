package simulate

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	podutils "k8s.io/autoscaler/cluster-autoscaler/utils/pod"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/asg-autoscaler/asg-autoscaler/pricing/groupprice"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/mix"
)

// cloud is a CloudProvider whose nodes appear as soon as they are requested.
type cloud struct {
	cloudprovider.CloudProvider // nil: only the methods below may be called
	groups                      []*group
	byName                      map[string]*group
	byNode                      map[string]*group // by name of the node
	currency                    pricing.Currency
	rates                       *groupprice.Pricer
}

type group struct {
	cloudprovider.NodeGroup // nil
	mix.Group
	cloud *cloud
	nodes []*corev1.Node
}

func newCloud(m *mix.Mix) *cloud {
	c := &cloud{byName: map[string]*group{}, byNode: map[string]*group{}, currency: pricing.Currency(m.Currency)}
	for _, g := range m.Groups {
		made := &group{Group: g, cloud: c}
		c.groups = append(c.groups, made)
		c.byName[g.Name] = made
	}
	c.rates = groupprice.New(pricing.NewBook(m.Region, time.Time{}), instancetypes.Embedded())
	return c
}

func (c *cloud) Name() string { return cloudprovider.AwsProviderName }

func (c *cloud) NodeGroups() []cloudprovider.NodeGroup {
	list := make([]cloudprovider.NodeGroup, len(c.groups))
	for i, g := range c.groups {
		list[i] = g
	}
	return list
}

func (c *cloud) NodeGroupForNode(node *corev1.Node) (cloudprovider.NodeGroup, error) {
	if g := c.byNode[node.Name]; g != nil {
		return g, nil
	}
	return nil, nil
}

// groupOf is the name of the node's group, which is a whole one.
func (c *cloud) groupOf(node *corev1.Node) (group, whole string) {
	if g := c.byNode[node.Name]; g != nil {
		return g.Name, g.Name
	}
	return "", ""
}

func (c *cloud) HasInstance(node *corev1.Node) (bool, error) { return c.byNode[node.Name] != nil, nil }

func (c *cloud) GetResourceLimiter() (*cloudprovider.ResourceLimiter, error) {
	return cloudprovider.NewResourceLimiter(nil, nil), nil
}

func (c *cloud) GPULabel() string                                       { return "k8s.amazonaws.com/accelerator" }
func (c *cloud) GetAvailableGPUTypes() map[string]struct{}              { return nil }
func (c *cloud) GetNodeGpuConfig(*corev1.Node) *cloudprovider.GpuConfig { return nil }
func (c *cloud) Refresh() error                                         { return nil }
func (c *cloud) Cleanup() error                                         { return nil }

func (c *cloud) Pricing() (cloudprovider.PricingModel, errors.AutoscalerError) { return c, nil }

// NodePrice is the price of the node's group.
func (c *cloud) NodePrice(node *corev1.Node, start, end time.Time) (float64, error) {
	for _, g := range c.groups {
		if g.Node.Labels["asg-autoscaler/group"] == node.Labels["asg-autoscaler/group"] {
			return g.PerHour * end.Sub(start).Hours(), nil
		}
	}
	return 0, fmt.Errorf("node %q is of no group", node.Name)
}

// PodPrice is the pod's cost by the product's own model.
func (c *cloud) PodPrice(pod *corev1.Pod, start, end time.Time) (float64, error) {
	requests := podutils.PodRequests(pod)
	accelerators := map[string]int64{}
	for name, q := range requests {
		if nodetemplate.IsAccelerator(name) {
			accelerators[string(name)] = q.Value()
		}
	}
	price := c.rates.OfResources(groupprice.Resources{CPUMillis: requests.Cpu().MilliValue(), MemoryBytes: requests.Memory().Value(), Accelerators: accelerators})
	return price.Amount.PerHour * end.Sub(start).Hours(), nil
}

// NodeCost is the price that least-cost asks for.
func (c *cloud) NodeCost(nodeGroup string, _ *corev1.Node, count int) (pricing.Amount, bool) {
	g := c.byName[nodeGroup]
	if g == nil {
		return pricing.Amount{}, false
	}
	return pricing.Amount{PerHour: g.PerHour, Currency: c.currency}.Times(count), true
}

func (g *group) Id() string               { return g.Name }
func (g *group) Debug() string            { return g.Name }
func (g *group) MinSize() int             { return 0 }
func (g *group) MaxSize() int             { return g.Max }
func (g *group) TargetSize() (int, error) { return len(g.nodes), nil }
func (g *group) Exist() bool              { return true }
func (g *group) Autoprovisioned() bool    { return false }

func (g *group) GetOptions(config.NodeGroupAutoscalingOptions) (*config.NodeGroupAutoscalingOptions, error) {
	return nil, cloudprovider.ErrNotImplemented
}

// IncreaseSize adds Ready nodes.
func (g *group) IncreaseSize(delta int) error {
	if len(g.nodes)+delta > g.Max {
		return fmt.Errorf("group %q: %d nodes and %d more are over its %d", g.Name, len(g.nodes), delta, g.Max)
	}
	for range delta {
		node := g.Node.DeepCopy()
		node.Name = fmt.Sprintf("%s-%d", g.Name, len(g.nodes))
		node.Labels[corev1.LabelHostname] = node.Name
		node.Spec.ProviderID = "bench:///" + node.Name
		g.nodes = append(g.nodes, node)
		g.cloud.byNode[node.Name] = g
	}
	return nil
}

func (g *group) Nodes() ([]cloudprovider.Instance, error) {
	list := make([]cloudprovider.Instance, len(g.nodes))
	for i, node := range g.nodes {
		list[i] = cloudprovider.Instance{Id: node.Spec.ProviderID, Status: &cloudprovider.InstanceStatus{State: cloudprovider.InstanceRunning}}
	}
	return list, nil
}

func (g *group) TemplateNodeInfo() (*framework.NodeInfo, error) {
	return g.info(g.Node.DeepCopy(), framework.NewPodInfo(cloudprovider.BuildKubeProxy(g.Name), nil)), nil
}

// info is a node of the group with its pods, the GPUs that a driver shares out there, and the limit of volumes.
func (g *group) info(node *corev1.Node, running ...*framework.PodInfo) *framework.NodeInfo {
	var slices []*resourceapi.ResourceSlice
	if g.Devices > 0 {
		slice := &resourceapi.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: node.Name + "-gpus"}, Spec: resourceapi.ResourceSliceSpec{
			Driver: mix.DeviceClass, NodeName: &node.Name, Pool: resourceapi.ResourcePool{Name: node.Name, ResourceSliceCount: 1}}}
		for i := range g.Devices {
			slice.Spec.Devices = append(slice.Spec.Devices, resourceapi.Device{Name: fmt.Sprint("gpu-", i)})
		}
		slices = append(slices, slice)
	}
	return framework.NewNodeInfo(node, slices, running...).SetCSINode(&storagev1.CSINode{
		ObjectMeta: metav1.ObjectMeta{Name: node.Name},
		Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{{
			Name: mix.VolumeDriver, NodeID: node.Name, Allocatable: &storagev1.VolumeNodeResources{Count: new(int32(mix.Attachable))},
		}}},
	})
}
