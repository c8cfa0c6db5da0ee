package nodeinfos

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/customresources"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	csinodeprovider "k8s.io/autoscaler/cluster-autoscaler/simulator/csi/provider"
	csisnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/csi/snapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/readiness"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// claims are bound EBS volumes with their claims, named volume-0 and so on.
func claims(count int) (objects []runtime.Object) {
	for i := range count {
		name := fmt.Sprintf("volume-%d", i)
		objects = append(objects,
			&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeSpec{
				PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: ebsDriver, VolumeHandle: name}},
				ClaimRef:               &corev1.ObjectReference{Namespace: "default", Name: name}}},
			&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default",
				Annotations: map[string]string{"pv.kubernetes.io/bind-completed": "yes"}},
				Spec: corev1.PersistentVolumeClaimSpec{VolumeName: name}, Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound}})
	}
	return objects
}

// withVolumes is a pod that mounts the first so many claims.
func withVolumes(count int) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "pending", Namespace: "default"}}
	for i := range count {
		name := fmt.Sprintf("volume-%d", i)
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}})
	}
	return pod
}

// volumeSnapshot is the simulator over the claims.
func volumeSnapshot(t *testing.T, count int) clustersnapshot.ClusterSnapshot {
	t.Helper()
	factory := informers.NewSharedInformerFactory(fake.NewClientset(claims(count)...), 0)
	handle, err := framework.NewHandle(t.Context(), factory, nil, false, true)
	require.NoError(t, err)
	factory.Start(t.Context().Done())
	factory.WaitForCacheSync(t.Context().Done())
	return snapshot.New(config.AutoscalingOptions{CSINodeAwareSchedulingEnabled: true, ClusterSnapshotParallelism: 1}, handle)
}

func TestVolumeLimitsCountFromZero(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("gpu", "g4dn.xlarge", 0, 0, 5, nil))
	cluster := volumeSnapshot(t, 30)
	ebs := func(limit *storagev1.VolumeNodeResources) []storagev1.CSINodeDriver {
		return []storagev1.CSINodeDriver{{Name: ebsDriver, Allocatable: limit}}
	}
	for _, tt := range []struct {
		name    string
		other   string                    // the type of the one node in the cluster
		drivers []storagev1.CSINodeDriver // nil if it has no CSINode
		want    int                       // volumes that fit on the group's next node
	}{
		{name: "the driver runs on other nodes", other: "m5.large", drivers: ebs(&storagev1.VolumeNodeResources{Count: ptr.To[int32](25)}), want: 23},
		{name: "it reports no limit", other: "m5.large", drivers: ebs(nil), want: 23},
		{name: "a node of the type shows the limit", other: "g4dn.xlarge", drivers: ebs(&storagev1.VolumeNodeResources{Count: ptr.To[int32](11)}), want: 11},
		{name: "the driver runs nowhere", other: "m5.large", drivers: []storagev1.CSINodeDriver{}, want: 30},
		{name: "no node shows a limit", other: "m5.large", want: 23},
	} {
		t.Run(tt.name, func(t *testing.T) {
			other := awsworld.Node("other", "aws:///cn-northwest-1a/i-0fffffffffffffff0")
			other.Labels = map[string]string{corev1.LabelInstanceTypeStable: tt.other}
			csiNodes := map[string]*storagev1.CSINode{}
			if tt.drivers != nil {
				csiNodes["other"] = &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: "other"}, Spec: storagev1.CSINodeSpec{Drivers: tt.drivers}}
			}
			volumes := csisnapshot.NewSnapshot(csiNodes)
			require.NoError(t, cluster.SetClusterState([]*corev1.Node{other}, nil, nil, volumes))
			ctx := &cacontext.AutoscalingContext{CloudProvider: w.Provider, ClusterSnapshot: cluster, CsiProvider: csinodeprovider.NewCSINodeProvider(nil)}
			infos, coreErr := newProvider(w).Process(ctx, []*corev1.Node{other}, nil, taints.TaintConfig{}, time.Now())
			require.NoError(t, coreErr)
			require.NoError(t, cluster.AddNodeInfo(infos["gpu"]))
			got := 0
			for got < 30 && cluster.CheckPredicates(withVolumes(got+1), infos["gpu"].Node().Name) == nil {
				got++
			}
			assert.Equal(t, tt.want, got, "volumes fit")
		})
	}
}

// The limit of the larger type is a live node's, and later the one of its copy, which is kept.
func TestLimitsOfLiveNodesStayAsTheyAre(t *testing.T) {
	mixed := awsworld.Group("mixed", "", 0, 1, 5, nil)
	mixed.LaunchTemplate = nil
	mixed.MixedInstancesPolicy = &fakeaws.MixedInstancesPolicy{LaunchTemplate: fakeaws.LaunchTemplateRef{Name: "m5.large", Version: "1"},
		Overrides: []fakeaws.Override{{InstanceType: "m5.large"}, {InstanceType: "g4dn.xlarge"}}}
	w := awsworld.New(t, nil, mixed)
	cluster, infos, live := volumeSnapshot(t, 30), newProvider(w), w.Members("mixed", map[string]string{corev1.LabelInstanceTypeStable: "m5.large"})
	csi := map[string]*storagev1.CSINode{live[0].Name: {ObjectMeta: metav1.ObjectMeta{Name: live[0].Name}, Spec: storagev1.CSINodeSpec{
		Drivers: []storagev1.CSINodeDriver{{Name: ebsDriver, Allocatable: &storagev1.VolumeNodeResources{Count: ptr.To[int32](25)}}}}}}
	for range 3 {
		require.NoError(t, cluster.SetClusterState(live, nil, nil, csisnapshot.NewSnapshot(csi)))
		ctx := &cacontext.AutoscalingContext{CloudProvider: w.Provider, ClusterSnapshot: cluster, CsiProvider: csinodeprovider.NewCSINodeProvider(nil)}
		all, err := infos.Process(ctx, live, nil, taints.TaintConfig{}, time.Now())
		require.NoError(t, err)
		assert.Equal(t, int32(23), *ebsOf(all["mixed"].CSINode).Allocatable.Count, "volumes of the next node")
		for _, its := range csi {
			assert.Equal(t, int32(25), *its.Spec.Drivers[0].Allocatable.Count, "volumes of the live node")
		}
	}
}

func TestVolumeLimitIsTheLeastOfTheTypes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		shown volumeLimits // of other nodes
		types []string
		live  int32
		want  int32
	}{
		{name: "one type", types: []string{"m7i.large"}, live: 31, want: 31},
		{name: "a type that no node shows", types: []string{"m7i.large", "m5.large"}, live: 31, want: usualLimit},
		{name: "a type with less", shown: volumeLimits{"m5.large": 20}, types: []string{"m7i.large", "m5.large"}, live: 31, want: 20},
		{name: "a type with more", shown: volumeLimits{"m7i.large": 31}, types: []string{"m7i.large", "m5.large"}, live: 10, want: 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			live := &storagev1.CSINode{Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{
				{Name: ebsDriver, Allocatable: &storagev1.VolumeNodeResources{Count: &tt.live}}}}}
			info := framework.NewNodeInfo(awsworld.Node("live", ""), nil).SetCSINode(live)
			tt.shown.complete(info, tt.types, instancetypes.Embedded())
			assert.Equal(t, tt.want, *ebsOf(info.CSINode).Allocatable.Count, "volumes of the next node")
		})
	}
}

func TestANodeWithoutTheEBSDriverIsNotHeldUnready(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("plain", "m5.large", 0, 1, 5, nil))
	bare := w.Nodes("plain")[0]
	starting := readiness.NewStartingNodes(w.Provider, w.Events.Add, customresources.NewDefaultCustomResourcesProcessor(false, true), clock.RealClock{})
	ctx := &cacontext.AutoscalingContext{CloudProvider: w.Provider}
	volumes := csisnapshot.NewSnapshot(map[string]*storagev1.CSINode{bare.Name: {ObjectMeta: metav1.ObjectMeta{Name: bare.Name}}})
	nodes := []*corev1.Node{bare}
	_, ready := starting.FilterOutNodesWithUnreadyResources(ctx, nodes, nodes, nil, volumes)
	assert.Len(t, ready, 1, "the node counts as unready for want of a driver that was only assumed")
}
