package fromgroup

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
)

func TestCPUsThatAreTurnedOffAreNotPromised(t *testing.T) {
	for _, tt := range []struct {
		name  string
		types []launchspec.Type
		want  int64
	}{
		{name: "all turned on", types: []launchspec.Type{{Name: "m5.2xlarge", Weight: 1}}, want: 8},
		{name: "half of them", types: []launchspec.Type{{Name: "m5.2xlarge", Weight: 1, VCPUs: 4}}, want: 4},
		{name: "of one of two types", types: []launchspec.Type{{Name: "m5.2xlarge", Weight: 1}, {Name: "m5a.2xlarge", Weight: 1, VCPUs: 4}}, want: 4},
		{name: "more than there are", types: []launchspec.Type{{Name: "m5.2xlarge", Weight: 1, VCPUs: 16}}, want: 8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := spotGroup()
			g.LaunchSpec = &launchspec.LaunchSpec{Types: tt.types}
			template := built(g)
			capacity, allocatable := template.Capacity.Cpu(), template.Allocatable.Cpu()
			assert.Truef(t, capacity.Value() == tt.want && allocatable.MilliValue() <= tt.want*1000 && allocatable.MilliValue() >= tt.want*900,
				"%s CPUs, %s allocatable, want %d", capacity, allocatable, tt.want)
		})
	}
}
