package buffers

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/apis/capacitybuffer/autoscaling.x-k8s.io/v1beta1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/testsnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	coretest "k8s.io/autoscaler/cluster-autoscaler/utils/test"
	"k8s.io/utils/ptr"
)

// go test ./cloudprovider/processors/buffers -bench Room: what counting the pods of 50 buffers on 1,000 nodes adds to each loop.
func BenchmarkRoom(b *testing.B) {
	var list []*v1beta1.CapacityBuffer
	for n := range 50 {
		buffer := buffer(fmt.Sprint("buffer-", n), v1beta1.CapacityBufferSpec{})
		buffer.Status.ProvisioningStrategy, buffer.Status.Replicas = ptr.To(strategies[0]), ptr.To[int32](20)
		list = append(list, buffer)
	}
	w := newWorld(b, 0, list...)
	snapshot := testsnapshot.NewTestSnapshotOrDie(b)
	for n := range 1000 {
		var pods []*framework.PodInfo
		for p := range 30 {
			pod := &corev1.Pod{}
			pod.Name, pod.UID = fmt.Sprint("pod-", p), types.UID(fmt.Sprintf("%d-%d", n, p))
			pods = append(pods, framework.NewPodInfo(pod, nil))
			if p == 0 {
				w.Registry.SetCapacityBuffer(pod.UID, list[n%len(list)])
			}
		}
		if err := snapshot.AddNodeInfo(framework.NewNodeInfo(coretest.BuildTestNode(fmt.Sprint("node-", n), 64000, 1e11), nil, pods...)); err != nil {
			b.Fatal(err)
		}
	}
	ctx := &cacontext.AutoscalingContext{ClusterSnapshot: snapshot}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Process(ctx, nil); err != nil {
			b.Fatal(err)
		}
	}
}
