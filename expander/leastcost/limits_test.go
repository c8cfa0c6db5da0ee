package leastcost

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	apiv1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
)

func claiming(pods []*apiv1.Pod) []*apiv1.Pod {
	return each(pods, func(_ int, pod *apiv1.Pod) {
		pod.Spec.ResourceClaims = []apiv1.PodResourceClaim{{Name: "gpu", ResourceClaimTemplateName: new("one-gpu")}}
	})
}

func attaching(count int, pods []*apiv1.Pod) []*apiv1.Pod {
	return each(pods, func(_ int, pod *apiv1.Pod) {
		for v := range count {
			pod.Spec.Volumes = append(pod.Spec.Volumes, apiv1.Volume{Name: fmt.Sprint("data-", v), VolumeSource: apiv1.VolumeSource{
				PersistentVolumeClaim: &apiv1.PersistentVolumeClaimVolumeSource{ClaimName: fmt.Sprintf("%s-%d", pod.Name, v)}}})
		}
	})
}

// promising is the node with devices for claims and volumes that it can attach, 0 for no promise.
func promising(info *framework.NodeInfo, devices int, volumes int32) *framework.NodeInfo {
	info = framework.NewNodeInfo(info.Node(), []*resourceapi.ResourceSlice{{Spec: resourceapi.ResourceSliceSpec{Devices: make([]resourceapi.Device, devices)}}})
	return info.SetCSINode(&storagev1.CSINode{Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{
		{Name: "efs.csi.aws.com"}, {Name: "ebs.csi.aws.com", Allocatable: &storagev1.VolumeNodeResources{Count: &volumes}}}}})
}

func beside(info *framework.NodeInfo, devices int) *framework.NodeInfo {
	info.LocalResourceSlices = append(info.LocalResourceSlices, &resourceapi.ResourceSlice{
		Spec: resourceapi.ResourceSliceSpec{Driver: "dra.net", Devices: make([]resourceapi.Device, devices)}})
	return info
}

// By CPU and memory alone each row's pods have room on fewer nodes.
func TestPlansKeepPromises(t *testing.T) {
	gpus := claiming(replicas("gpu", 40, "1", "1Gi"))
	more := claiming(replicas("more", 40, "1", "1Gi"))
	var jobs []*apiv1.Pod // each of its own owner and size
	for i := range 40 {
		jobs = append(jobs, claiming(replicas(fmt.Sprint("job-", i), 1, fmt.Sprintf("%dm", 1000+i), "1Gi"))...)
	}
	disks := attaching(1, replicas("disk", 50, "100m", "100Mi"))
	pairs := attaching(2, replicas("pair", 24, "100m", "100Mi"))
	quarters, bits := attaching(1, replicas("quarter", 8, "3990m", "1Gi")), attaching(1, replicas("bit", 40, "10m", "1Mi"))
	web := replicas("web", 400, "1500m", "1Gi")
	large, small := promising(template("96", "1Ti"), 8, 0), promising(template("4", "16Gi"), 1, 0)
	disk, bare := promising(template("16", "64Gi"), 0, 25), template("16", "64Gi")
	for _, tt := range []struct {
		name   string
		offers []offer
		want   string
	}{
		{"eight devices a node", []offer{{"eight", 5, large, 10, gpus}}, "eight: 5 for 40"},
		{"one device a node is cheaper than eight", []offer{{"eight", 5, large, 10, gpus}, {"one", 40, small, 1, gpus}}, "one: 40 for 40"},
		{"eight devices a node are cheaper than one", []offer{{"eight", 5, large, 7, gpus}, {"one", 40, small, 1, gpus}}, "eight: 5 for 40"},
		{"pods of many owners share one limit", []offer{{"eight", 5, large, 10, jobs}, {"one", 40, small, 1, jobs}}, "one: 40 for 40"},
		{"25 volumes a node", []offer{{"disk", 2, disk, 1, disks}}, "disk: 2 for 50"},
		{"12 pods of two volumes each", []offer{{"disk", 2, disk, 1, pairs}}, "disk: 2 for 24"},
		// The core puts the web pods on seven nodes, and then eight claims on the last of these and on each of nine more. All of them
		// have room on ten.
		{"other pods fill nodes, too", []offer{{"eight", 16, large, 7, slices.Concat(web, gpus, more)}, {"one", 80, small, 1, slices.Concat(gpus, more)}},
			"eight: 10 for 480"},
		{"no limit without a promise", []offer{{"bare", 3, bare, 1, slices.Concat(quarters, bits)}, {"small", 8, small, 0.1, quarters}}, "bare: 1 for 43"},
		{"of several drivers the one with the fewest devices", []offer{{"one", 40, beside(promising(template("4", "16Gi"), 1, 0), 2), 1, gpus},
			{"eight", 5, beside(promising(template("96", "1Ti"), 8, 0), 32), 7, gpus}}, "eight: 5 for 40"},
		{"a promise that the core's nodes exceed", []offer{{"disk", 1, disk, 1, disks}}, "disk: 1 for 50"},
	} {
		options, templates, prices := offered(tt.offers)
		assert.Equalf(t, tt.want, strings.Join(summary(newFilter(prices, nil).BestOptions(options, templates)), ", "), "%s: best options", tt.name)
	}
}
