package nodetemplate

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/stretchr/testify/assert"
)

func TestHugePagesAreOfferedAndTakenFromMemory(t *testing.T) {
	const ofP5, ofP4 = 42242 * mib, 21122 * mib // seen on a p5.48xlarge, and on a p4de.24xlarge and a p3dn.24xlarge
	for _, tt := range []struct {
		name      string
		types     []string
		adapters  int // of the launch template
		tags      map[string]string
		nodegroup map[string]string
		want      int64 // hugepages-2Mi
		kept      int64 // from allocatable memory, for pages of any size
	}{
		{name: "a type without", types: []string{"m5.large"}, adapters: 1},
		{name: "no adapter", types: []string{"p4d.24xlarge"}},
		{name: "one adapter", types: []string{"p3dn.24xlarge"}, adapters: 1, want: ofP4, kept: ofP4},
		{name: "32 adapters", types: []string{"p5.48xlarge"}, adapters: 32, want: ofP5, kept: ofP5},
		{name: "a type without GPUs", types: []string{"c5n.18xlarge"}, adapters: 1, want: 15842 * mib, kept: 15842 * mib},
		{name: "no adapter on a type that was never seen without", types: []string{"p5.48xlarge"}, kept: ofP5},
		{name: "the least of two types", types: []string{"p5.48xlarge", "p4de.24xlarge"}, adapters: 32, want: ofP4, kept: ofP4},
		{name: "one of two types without", types: []string{"c5n.18xlarge", "m5.large"}, adapters: 1},
		{name: "tags for both sizes", types: []string{"m5.large"}, tags: map[string]string{"hugepages-1Gi": "2Gi", "hugepages-2Mi": "1Gi"}, want: gib, kept: 3 * gib},
		{name: "the EKS node group wins", types: []string{"m5.large"}, tags: map[string]string{"hugepages-2Mi": "1Gi"}, nodegroup: map[string]string{"hugepages-2Mi": "2Gi"}, want: 2 * gib, kept: 2 * gib},
		{name: "a tag instead of the image's own", types: []string{"p5.48xlarge"}, adapters: 32, tags: map[string]string{"hugepages-2Mi": "1Gi"}, want: gib, kept: gib},
		{name: "a tag says none", types: []string{"p5.48xlarge"}, adapters: 32, tags: map[string]string{"hugepages-2Mi": "0"}},
		{name: "more than there is", types: []string{"m5.large"}, tags: map[string]string{"hugepages-2Mi": "1Ti"}, want: 1024 * gib, kept: 1024 * gib},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := Input{Group: "g", AMIFamily: AL2023, Members: members(t, tt.types...), EFAInterfaces: tt.adapters, Tags: map[string]string{}}
			for name, amount := range tt.tags {
				in.Tags[resourcesPrefix+name] = amount
			}
			if tt.nodegroup != nil {
				in.Nodegroup = &Nodegroup{Name: "ng", AMIType: "CUSTOM", Tags: map[string]string{}}
				for name, amount := range tt.nodegroup {
					in.Nodegroup.Tags[resourcesPrefix+name] = amount
				}
			}
			template, problems := Build(in)
			assert.Falsef(t, len(problems) > 0 && len(tt.types) == 1, "problems: %v", problems)
			for name, list := range map[string]corev1.ResourceList{"capacity": template.Capacity, "allocatable": template.Allocatable} {
				got := value(list, "hugepages-2Mi")
				assert.Equalf(t, tt.want, got, "%s has %d MiB of huge pages, want %d MiB", name, got/mib, tt.want/mib)
			}
			in.Tags, in.Nodegroup = map[string]string{resourcesPrefix + "hugepages-2Mi": "0"}, nil
			without, _ := Build(in)
			most, got := value(without.Allocatable, corev1.ResourceMemory), value(template.Allocatable, corev1.ResourceMemory)
			assert.Equalf(t, most-min(most, tt.kept), got, "%d MiB of memory for pods, %d MiB without huge pages", got/mib, most/mib)
			source := template.Sources.Capacity["hugepages-2Mi"]
			assert.Falsef(t, tt.want > 0 && tt.tags == nil && tt.nodegroup == nil && source.Kind != SourceFormula,
				"huge pages come from %+v, want a formula", source)
		})
	}
}

// A node whose memory is all there sets no huge pages aside, whatever others of its type do.
func TestMissingHugePagesAreNotOffered(t *testing.T) {
	types := members(t, "p5.48xlarge")
	template, _ := Build(Input{Group: "g", EFAInterfaces: 32, Members: types})
	for _, tt := range []struct {
		name string
		kept int64 // from pods
		want int64
	}{
		{name: "kept", kept: 43 * gib, want: 42242 * mib},
		{name: "not kept", kept: gib},
	} {
		node := &corev1.Node{Status: corev1.NodeStatus{Capacity: template.Capacity.DeepCopy(), Allocatable: template.Allocatable.DeepCopy()}}
		node.Status.Allocatable[corev1.ResourceMemory] = binary(value(template.Capacity, corev1.ResourceMemory) - tt.kept)
		next, _ := Build(Input{Group: "g", EFAInterfaces: 32, Members: types, Learnt: learnt("p5.48xlarge", node)})
		got := value(next.Allocatable, "hugepages-2Mi")
		assert.Equalf(t, tt.want, got, "%s: %d MiB of huge pages, want %d MiB", tt.name, got/mib, tt.want/mib)
	}
}

// The larger cap of managed node groups holds from 30 vCPUs on. No type has just as many, but one may come.
func TestPodsAreCappedByTheNumberOfVCPUs(t *testing.T) {
	for vcpu, want := range map[int]int64{29: 110, 30: 250, 31: 250} {
		typ := instancetypes.Type{Name: "x", VCPU: vcpu, MemoryBytes: 64 * gib, Architecture: "amd64", MaxENIs: 15, IPv4PerENI: 50}
		template, _ := Build(Input{Group: "g", Tags: map[string]string{eksNodegroupTag: "ng"}, Members: []Member{{Type: typ}}})
		assert.Equalf(t, want, value(template.Capacity, corev1.ResourcePods), "pods with %d vCPUs", vcpu)
	}
}
