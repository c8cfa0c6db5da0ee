package nodeinfos

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaleup/orchestrator"
	coretest "k8s.io/autoscaler/cluster-autoscaler/core/test"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupconfig"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroups/asyncnodegroups"
	processorstest "k8s.io/autoscaler/cluster-autoscaler/processors/test"
	"k8s.io/autoscaler/cluster-autoscaler/resourcequotas"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/client-go/kubernetes/fake"
	appslisters "k8s.io/client-go/listers/apps/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate/fromgroup"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/scaleup"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
)

func TestALiveNodeKeepsWhatTheTemplatePromises(t *testing.T) {
	promised := awsworld.Resources("cpu", "4", "memory", "16Gi", "nvidia.com/gpu", "1", "example.com/nothing", "0")
	for _, tt := range []struct {
		name     string
		live     corev1.ResourceList
		wantGPUs int64
		wantCPU  int64 // of the live node, in every case
	}{
		{name: "device plugin late", live: awsworld.Resources("cpu", "3", "memory", "15Gi"), wantGPUs: 1, wantCPU: 3},
		{name: "device plugin gone, zero left behind", live: awsworld.Resources("cpu", "3", "memory", "15Gi", "nvidia.com/gpu", "0"), wantGPUs: 1, wantCPU: 3},
		{name: "published", live: awsworld.Resources("cpu", "3", "memory", "15Gi", "nvidia.com/gpu", "4"), wantGPUs: 4, wantCPU: 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "live"},
				Status: corev1.NodeStatus{Capacity: tt.live.DeepCopy(), Allocatable: tt.live.DeepCopy()}}
			pod := framework.NewPodInfo(cloudprovider.BuildKubeProxy("live"), nil)
			info := framework.NewNodeInfo(node, nil, pod)
			promise(info, nil, &fromgroup.Template{Template: nodetemplate.Template{Capacity: promised, Allocatable: promised}})

			shown := node.Status.Allocatable["nvidia.com/gpu"]
			assert.Equal(t, tt.wantGPUs, shown.Value(), "node shows GPUs")
			// The scheduler's filters read these sums, not the node: they must have been made anew.
			assert.Equal(t, tt.wantGPUs, info.GetAllocatable().GetScalarResources()["nvidia.com/gpu"], "scheduler sees GPUs")
			cpu := info.GetAllocatable().GetMilliCPU()
			assert.Truef(t, cpu == tt.wantCPU*1000, "scheduler sees %dm CPU, want the live node's %d", cpu, tt.wantCPU)
			assert.Equal(t, 1, len(info.Pods()), "pods on the node, want the one it had")
			assert.NotContains(t, node.Status.Allocatable, corev1.ResourceName("example.com/nothing"), "resources of the node")
		})
	}
}

// EKS runs kube-proxy as a DaemonSet, kops as a static pod.
func TestKubeProxyCountsOnceOnTheNextNode(t *testing.T) {
	indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	w := awsworld.NewAWS(t, nil, awsworld.Group("web", "m5.large", 0, 0, 5, nil)).RestartedWith(func(_ *asg.Options, p *aws.Options) {
		p.DaemonSets = appslisters.NewDaemonSetLister(indexer)
	})
	daemon := func(name, cpu string) *appsv1.DaemonSet {
		return &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: name, UID: types.UID(name)},
			Spec: appsv1.DaemonSetSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{
				{Resources: corev1.ResourceRequirements{Requests: awsworld.Resources("cpu", cpu)}}}}}}}
	}
	for _, tt := range []struct {
		name    string
		daemons []*appsv1.DaemonSet
		want    int64 // thousandths of a CPU that run on the next node
	}{
		{name: "no DaemonSet", want: 100},
		{name: "another DaemonSet", daemons: []*appsv1.DaemonSet{daemon("agent", "30m")}, want: 130},
		{name: "kube-proxy as a DaemonSet", daemons: []*appsv1.DaemonSet{daemon("agent", "30m"), daemon("kube-proxy", "70m")}, want: 100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, ds := range tt.daemons {
				require.NoError(t, indexer.Add(ds))
			}
			got := process(w, newProvider(w), tt.daemons)
			assert.Equal(t, tt.want, got["web"].GetRequested().GetMilliCPU(), "thousandths of a CPU that are taken on the next node")
		})
	}
}

// The core gives up every scale-up while a node is to come of a group for which it has no NodeInfo.
func TestPlaceholderNodeInfoHelpsNoPod(t *testing.T) {
	node := Placeholder("unknown")
	if !nodemeta.Placeholder.On(node) || !node.Spec.Unschedulable || node.Status.Allocatable.Pods().Value() != 0 {
		t.Errorf("the node is %+v, want one that no pod fits on", node)
	}
}

func TestPlaceholderNodeInfoRaisesNoGroup(t *testing.T) {
	w := awsworld.NewAWS(t, nil, awsworld.Group("unknown", "x9z.large", 0, 0, 5, nil), awsworld.Group("known", "m5.large", 0, 0, 5, nil)).
		RestartedWith(func(o *asg.Options, p *aws.Options) {
			p.Limiter = cloudprovider.NewResourceLimiter(nil, nil)
			o.Discovery = ownership.Discovery{Named: []group.Named{{Name: "unknown", MinSize: 2, MaxSize: 5}, {Name: "known", MinSize: 2, MaxSize: 5}}}
		})
	processors, _ := processorstest.NewTestProcessors(config.AutoscalingOptions{})
	ctx, err := coretest.NewScaleTestAutoscalingContext(config.AutoscalingOptions{}, &fake.Clientset{}, nil, w.Provider, nil, nil, nil)
	require.NoError(t, err)
	infos, coreErr := newProvider(w).Process(&ctx, nil, nil, taints.TaintConfig{}, time.Now())
	require.NoError(t, coreErr)
	if len(infos) != 2 || !nodemeta.Placeholder.On(infos["unknown"].Node()) || nodemeta.Placeholder.On(infos["known"].Node()) {
		t.Fatalf("the NodeInfos are %v, want a placeholder and another", infos)
	}
	state := clusterstate.NewClusterStateRegistry(w.Provider, clusterstate.ClusterStateRegistryConfig{}, ctx.LogRecorder, coretest.NewBackoff(),
		nodegroupconfig.NewDefaultNodeGroupConfigProcessor(ctx.NodeGroupDefaults), asyncnodegroups.NewDefaultAsyncNodeGroupStateChecker())
	require.NoError(t, state.UpdateNodes(nil, infos, time.Now()))
	processors.ScaleStateNotifier.Register(state)
	core := scaleup.New(scaleup.Options{Core: orchestrator.New(), Clock: clock.RealClock{}})
	core.Initialize(&ctx, processors, state, nil, taints.TaintConfig{}, resourcequotas.NewTrackerFactory(resourcequotas.TrackerOptions{
		QuotaProvider: resourcequotas.NewCloudQuotasProvider(w.Provider), CustomResourcesProcessor: processors.CustomResourcesProcessor}))
	_, err = core.ScaleUpToNodeGroupMinSize(nil, infos)
	require.NoError(t, err)
	if unknown, known := w.Target("unknown"), w.Target("known"); unknown != 0 || known != 2 {
		t.Errorf("targets of the unknown group %d, of the known one %d, want 0 and the minimum of 2", unknown, known)
	}
	assert.Equal(t, 2, len(infos), "the NodeInfos given were changed")
}
