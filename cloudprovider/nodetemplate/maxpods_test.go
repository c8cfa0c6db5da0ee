package nodetemplate

import (
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
)

// nodeadm reserves memory for the result of the expression, which only the node knows, and gives kubelet maxPods of the NodeConfig beside it.
func TestPodsExpressionPromisesFewPodsAndReservesForMany(t *testing.T) {
	for _, tt := range []struct {
		name     string
		data     UserData
		family   AMIFamily
		pods     int64
		reserved int64 // pods for which memory is reserved
	}{
		{name: "no expression", family: AL2023, data: UserData{MaxPods: 110}, pods: 110, reserved: 29},
		{name: "an expression", family: AL2023, data: UserData{PodsExpression: true}, pods: 20, reserved: 110},
		{name: "beside a number of pods", family: AL2023, data: UserData{PodsExpression: true, MaxPods: 50}, pods: 50, reserved: 110},
		{name: "beside a larger number", family: AL2023, data: UserData{PodsExpression: true, MaxPods: 150}, pods: 150, reserved: 150},
	} {
		template, _ := Build(Input{Group: "g", AMIFamily: tt.family, Members: members(t, "m5.large"), UserData: &tt.data})
		assert.Equalf(t, tt.pods, value(template.Capacity, corev1.ResourcePods), "%s: pods", tt.name)
		kept := value(template.Capacity, corev1.ResourceMemory) - value(template.Allocatable, corev1.ResourceMemory)
		want := (255 + 11*tt.reserved + 100) * mib
		assert.Equalf(t, want, kept, "%s: %d MiB kept from pods, want %d MiB", tt.name, kept/mib, want/mib)
	}
}
