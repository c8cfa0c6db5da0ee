package aws_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/fake"
	appslisters "k8s.io/client-go/listers/apps/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
)

const ownerTag = "kubernetes.io/cluster/"

// The first view comes before the listers are filled: half of the nodes must settle nothing.
func TestOtherClustersGroupIsNoNodeGroup(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("ours", "m5.large", 0, 1, 3, map[string]string{ownerTag + "a": "owned"}),
		awsworld.Group("theirs", "m5.large", 0, 1, 3, map[string]string{ownerTag + "b": "owned"}), awsworld.Group("silent", "m5.large", 0, 1, 3, nil))
	instance := func(name string) string {
		state, _ := w.AWS.Group(name)
		return nodemeta.ProviderID("cn-northwest-1a", state.Instances[0].ID)
	}
	nodes := nodeInformer(t, fake.NewClientset(awsworld.Node("n", instance("ours"))))
	w = w.restartedWith(func(_ *asg.Options, o *aws.Options) { o.Nodes = nodes })
	assert.Equal(t, 3, len(w.NodeGroups()), "node groups before the first loop, want all 3")
	before := w.NodeGroup("theirs")
	w.SeeCluster() // as the handler of interruptions does
	assert.Nil(t, w.Cache.Snapshot().Group("theirs"), "the other cluster's group before the first loop")
	for range 3 {
		w.NextLoop()
	}
	assert.Equal(t, []string{"ours", "silent"}, w.IDs(), "node groups, want those that no other cluster has")
	stranger := awsworld.Node("stranger", instance("theirs"))
	assert.Empty(t, w.owner(stranger), "the node group of the other cluster's node")
	assert.Error(t, before.IncreaseSize(1), "the other cluster's group grew")
	_ = before.DeleteNodes([]*corev1.Node{stranger}) // that it was in vain shows below
	if state, _ := w.AWS.Group("theirs"); state.Desired != 1 || len(state.Instances) != 1 || state.Instances[0].State != "InService" {
		t.Errorf("the other cluster's group became %+v, want it untouched", state)
	}
	w.wantEvent(`"theirs"`, "--asg-cluster-name")
	w.wantProblems(map[string]float64{"theirs other-cluster": 1})
}

func TestNodesVoteAnewOnceTheirGroupStatesACluster(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("ours", "m5.large", 0, 1, 3, nil), awsworld.Group("theirs", "m5.large", 0, 1, 3, map[string]string{ownerTag + "b": "owned"}))
	state, _ := w.AWS.Group("ours")
	nodes := nodeInformer(t, fake.NewClientset(awsworld.Node("n", nodemeta.ProviderID("cn-northwest-1a", state.Instances[0].ID))))
	w = w.restartedWith(func(_ *asg.Options, o *aws.Options) { o.Nodes = nodes })
	w.NextLoop()
	w.setTag("ours", ownerTag+"a", "owned")
	w.Reread()
	assert.Equal(t, []string{"ours"}, w.IDs(), "node groups")
}

func TestCNIHasTheNameThatEKSGivesIt(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  []string
		want string
	}{
		{name: "none"},
		{name: "one", env: []string{"CLUSTER_NAME", "prod"}, want: "prod"},
		{name: "the last of two", env: []string{"CLUSTER_NAME", "test", "CLUSTER_NAME", "prod"}, want: "prod"},
		{name: "what is no name", env: []string{"CLUSTER_NAME", "arn:aws:eks:us-west-2:1:cluster/prod"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
			require.NoError(t, indexer.Add(awsNode(tt.env...)))
			assert.Equal(t, tt.want, aws.ClusterOfCNI(appslisters.NewDaemonSetLister(indexer)), "name")
		})
	}
}
