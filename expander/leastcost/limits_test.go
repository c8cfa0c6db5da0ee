package leastcost

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	apiv1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
)

// claiming gives each pod a claim of its own.
func claiming(pods []*apiv1.Pod) []*apiv1.Pod {
	return each(pods, func(_ int, pod *apiv1.Pod) {
		pod.Spec.ResourceClaims = []apiv1.PodResourceClaim{{Name: "gpu", ResourceClaimTemplateName: new("one-gpu")}}
	})
}

// attaching gives each pod volumes of its own.
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
		name      string
		options   []expander.Option
		templates map[string]*framework.NodeInfo
		prices    flat
		want      []string
	}{
		{name: "eight devices a node", options: []expander.Option{option("eight", 5, gpus)},
			templates: map[string]*framework.NodeInfo{"eight": large}, prices: flat{"eight": 10}, want: []string{"eight: 5 for 40"}},
		{name: "one device a node is cheaper than eight", options: []expander.Option{option("eight", 5, gpus), option("one", 40, gpus)},
			templates: map[string]*framework.NodeInfo{"eight": large, "one": small}, prices: flat{"eight": 10, "one": 1},
			want: []string{"one: 40 for 40"}},
		{name: "eight devices a node are cheaper than one", options: []expander.Option{option("eight", 5, gpus), option("one", 40, gpus)},
			templates: map[string]*framework.NodeInfo{"eight": large, "one": small}, prices: flat{"eight": 7, "one": 1},
			want: []string{"eight: 5 for 40"}},
		{name: "pods of many owners share one limit", options: []expander.Option{option("eight", 5, jobs), option("one", 40, jobs)},
			templates: map[string]*framework.NodeInfo{"eight": large, "one": small}, prices: flat{"eight": 10, "one": 1},
			want: []string{"one: 40 for 40"}},
		{name: "25 volumes a node", options: []expander.Option{option("disk", 2, disks)},
			templates: map[string]*framework.NodeInfo{"disk": disk}, prices: flat{"disk": 1}, want: []string{"disk: 2 for 50"}},
		{name: "12 pods of two volumes each", options: []expander.Option{option("disk", 2, pairs)},
			templates: map[string]*framework.NodeInfo{"disk": disk}, prices: flat{"disk": 1}, want: []string{"disk: 2 for 24"}},
		{
			// The core puts the web pods on seven nodes, and then eight claims on the last of these and on each of nine more. All of them
			// have room on ten.
			name:      "other pods fill nodes, too",
			options:   []expander.Option{option("eight", 16, web, gpus, more), option("one", 80, gpus, more)},
			templates: map[string]*framework.NodeInfo{"eight": large, "one": small},
			prices:    flat{"eight": 7, "one": 1},
			want:      []string{"eight: 10 for 480"},
		},
		{name: "no limit without a promise", options: []expander.Option{option("bare", 3, quarters, bits), option("small", 8, quarters)},
			templates: map[string]*framework.NodeInfo{"bare": bare, "small": small}, prices: flat{"bare": 1, "small": 0.1},
			want: []string{"bare: 1 for 43"}},
		{
			// each node has one device of the claims' kind, and two of another driver
			name:      "a promise that counts other kinds of devices",
			options:   []expander.Option{option("three", 40, gpus), option("eight", 5, gpus)},
			templates: map[string]*framework.NodeInfo{"three": promising(template("4", "16Gi"), 3, 0), "eight": promising(template("96", "1Ti"), 40, 0)},
			prices:    flat{"three": 1, "eight": 7},
			want:      []string{"eight: 5 for 40"},
		},
		{name: "a promise that the core's nodes exceed", options: []expander.Option{option("disk", 1, disks)},
			templates: map[string]*framework.NodeInfo{"disk": disk}, prices: flat{"disk": 1}, want: []string{"disk: 1 for 50"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			best := newFilter(tt.prices, nil).BestOptions(tt.options, tt.templates)
			assert.Empty(t, cmp.Diff(tt.want, summary(best)), "best options (-want +got)")
		})
	}
}
