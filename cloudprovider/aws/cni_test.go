package aws_test

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	appslisters "k8s.io/client-go/listers/apps/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// awsNode is the DaemonSet of the VPC CNI with the environment, given as names and values in turn.
func awsNode(env ...string) *appsv1.DaemonSet {
	agent := corev1.Container{Name: "aws-node"}
	for i := 0; i < len(env); i += 2 {
		agent.Env = append(agent.Env, corev1.EnvVar{Name: env[i], Value: env[i+1]})
	}
	other := corev1.Container{Name: "aws-eks-nodeagent", Env: []corev1.EnvVar{{Name: prefixDelegation, Value: "true"}}}
	return &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "aws-node", Namespace: "kube-system"},
		Spec: appsv1.DaemonSetSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{other, agent}}}}}
}

// The settings of the VPC CNI (aws/amazon-vpc-cni-k8s, README, read 2026-11).
const (
	prefixDelegation = "ENABLE_PREFIX_DELEGATION"
	customNetworking = "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG"
	podInterfaces    = "ENABLE_POD_ENI"
)

func TestSettingsOfTheCNI(t *testing.T) {
	elsewhere := awsNode(prefixDelegation, "true")
	elsewhere.Namespace = "default"
	named := func(name string) *appsv1.DaemonSet {
		other := awsNode(prefixDelegation, "true")
		other.Name = name
		return other
	}
	for _, tt := range []struct {
		name string
		set  *appsv1.DaemonSet
		want nodetemplate.CNI
	}{
		{name: "no CNI"},
		{name: "another CNI", set: named("cilium"), want: nodetemplate.CNI{Other: true}},
		{name: "another CNI of RKE2", set: named("rke2-canal"), want: nodetemplate.CNI{Other: true}},
		{name: "another CNI of kOps and kind", set: named("kindnet"), want: nodetemplate.CNI{Other: true}},
		{name: "another CNI of Talos", set: named("kube-flannel"), want: nodetemplate.CNI{Other: true}},
		{name: "one of that name elsewhere", set: elsewhere},
		{name: "nothing set", set: awsNode()},
		{name: "as EKS installs it", set: awsNode(prefixDelegation, "false", customNetworking, "false")},
		{name: "prefix delegation", set: awsNode(prefixDelegation, "true"), want: nodetemplate.CNI{PrefixDelegation: true}},
		{name: "custom networking", set: awsNode(customNetworking, "True"), want: nodetemplate.CNI{CustomNetworking: true}},
		{name: "security groups for pods", set: awsNode(podInterfaces, "true"), want: nodetemplate.CNI{PodInterfaces: true}},
		{name: "no Boolean", set: awsNode(prefixDelegation, "yes")},
		{name: "set twice", set: awsNode(prefixDelegation, "true", prefixDelegation, "false")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
			if tt.set != nil {
				require.NoError(t, indexer.Add(tt.set))
			}
			assert.Equal(t, tt.want, aws.CNIOf(appslisters.NewDaemonSetLister(indexer)), "settings")
		})
	}
}

func TestManagedNodeGroupFollowsChangedCNI(t *testing.T) {
	managed := map[string]string{"eks:cluster-name": "c", "eks:nodegroup-name": "managed"}
	w := newWorld(t, func(c *fakeaws.Config) {
		c.EKSNodegroups = []fakeaws.EKSNodegroup{{Cluster: "c", Name: "managed", AutoScalingGroup: "managed", AMIType: "AL2023_x86_64_STANDARD"}}
	}, awsworld.Group("managed", "m5.large", 0, 0, 5, managed), awsworld.Group("own", "m5.large", 0, 0, 5, nil))
	indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	w = w.restartedWith(func(_ *asg.Options, o *aws.Options) { o.DaemonSets = appslisters.NewDaemonSetLister(indexer) })
	for _, tt := range []struct {
		set  *appsv1.DaemonSet
		want int64
	}{
		{awsNode(), 29},
		{awsNode(prefixDelegation, "true"), 110},
		{awsNode(customNetworking, "true"), 20},
	} {
		require.NoError(t, indexer.Update(tt.set))
		w.NextLoop()
		assert.Equal(t, tt.want, w.promised("managed").Status.Allocatable.Pods().Value(), "pods on a node of the managed group")
		assert.EqualValues(t, 29, w.promised("own").Status.Allocatable.Pods().Value(), "pods on a node of a group that counts for itself")
	}
}
