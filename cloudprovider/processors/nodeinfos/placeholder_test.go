package nodeinfos

import (
	"testing"
	"time"

	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaleup/orchestrator"
	coretest "k8s.io/autoscaler/cluster-autoscaler/core/test"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupconfig"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroups/asyncnodegroups"
	processorstest "k8s.io/autoscaler/cluster-autoscaler/processors/test"
	"k8s.io/autoscaler/cluster-autoscaler/resourcequotas"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/scaleup"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

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
	if len(infos) != 2 || !nodemeta.Placeholder.On(infos["unknown"].Node()) {
		t.Fatalf("the NodeInfos are %v, want a placeholder and another", infos)
	}
	state := clusterstate.NewClusterStateRegistry(w.Provider, clusterstate.ClusterStateRegistryConfig{}, ctx.LogRecorder, coretest.NewBackoff(),
		nodegroupconfig.NewDefaultNodeGroupConfigProcessor(ctx.NodeGroupDefaults), asyncnodegroups.NewDefaultAsyncNodeGroupStateChecker())
	require.NoError(t, state.UpdateNodes(nil, infos, time.Now()))
	processors.ScaleStateNotifier.Register(state)
	core := scaleup.New(scaleup.Options{Core: orchestrator.New()})
	core.Initialize(&ctx, processors, state, nil, taints.TaintConfig{}, resourcequotas.NewTrackerFactory(resourcequotas.TrackerOptions{
		QuotaProvider: resourcequotas.NewCloudQuotasProvider(w.Provider), CustomResourcesProcessor: processors.CustomResourcesProcessor}))
	_, err = core.ScaleUpToNodeGroupMinSize(nil, infos)
	require.NoError(t, err)
	if unknown, known := w.Target("unknown"), w.Target("known"); unknown != 0 || known != 2 {
		t.Errorf("targets of the unknown group %d, of the known one %d, want 0 and the minimum of 2", unknown, known)
	}
	assert.Equal(t, 2, len(infos), "the NodeInfos given were changed")
}
