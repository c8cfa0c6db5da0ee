package nodetemplate

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// An m5.large keeps 70m CPU, 574Mi and 1Gi of disk for kubelet, and evicts below 100Mi and a tenth of the disk.
func TestUserDataSetsReservations(t *testing.T) {
	list := func(name corev1.ResourceName, q string) corev1.ResourceList {
		return corev1.ResourceList{name: resource.MustParse(q)}
	}
	base, _ := Build(Input{Group: "g", AMIFamily: AL2023, Members: members(t, "m5.large")})
	memory, disk := base.Capacity.Memory().Value(), base.Capacity.StorageEphemeral().Value()
	usual := map[string]int64{"cpu": 1930, "memory": memory - 674*mib, "disk": disk - gib - int64(float64(disk)*evictionDiskRatio)}
	for _, tt := range []struct {
		name string
		data UserData
		want map[string]int64 // what differs from the usual
	}{
		{name: "nothing"},
		{name: "kube-reserved of one resource", data: UserData{KubeReserved: Reservation{Resources: list("memory", "1Gi")}}, want: map[string]int64{"memory": memory - gib - 100*mib}},
		{name: "kube-reserved as a whole", data: UserData{KubeReserved: Reservation{Resources: list("cpu", "100m"), Whole: true}},
			want: map[string]int64{"cpu": 1900, "memory": memory - 100*mib, "disk": disk - int64(float64(disk)*evictionDiskRatio)}},
		{name: "system-reserved adds", data: UserData{SystemReserved: Reservation{Resources: list("cpu", "0.2"), Whole: true}}, want: map[string]int64{"cpu": 1730}},
		{name: "eviction by amount", data: UserData{EvictionHard: Thresholds{Signals: map[string]Threshold{"memory.available": {Quantity: resource.MustParse("500Mi")}}}}, want: map[string]int64{"memory": memory - 1074*mib}},
		{name: "eviction by ratio, as a whole", data: UserData{EvictionHard: Thresholds{Signals: map[string]Threshold{"memory.available": {Ratio: 0.5}}, Whole: true}},
			want: map[string]int64{"memory": memory - 574*mib - memory/2, "disk": disk - gib}},
		{name: "more than there is", data: UserData{SystemReserved: Reservation{Resources: list("memory", "1Ei")}}, want: map[string]int64{"memory": 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			template, _ := Build(Input{Group: "g", AMIFamily: AL2023, Members: members(t, "m5.large"), UserData: &tt.data})
			want := maps.Clone(usual)
			maps.Copy(want, tt.want)
			got := map[string]int64{
				"cpu": template.Allocatable.Cpu().MilliValue(), "memory": template.Allocatable.Memory().Value(),
				"disk": template.Allocatable.StorageEphemeral().Value(),
			}
			assert.Empty(t, cmp.Diff(want, got), "allocatable differs (-want +got)")
			assert.Empty(t, cmp.Diff(show(base.Capacity), show(template.Capacity)), "capacity differs (-want +got)")
		})
	}
}
