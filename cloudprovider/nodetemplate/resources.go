package nodetemplate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// addResources sets capacity and allocatable: first the least of all members, then the tags, which set both.
func (t *Template) addResources(in *Input, d Declared) []Problem {
	t.Capacity, t.Allocatable = corev1.ResourceList{}, corev1.ResourceList{}
	ofNodegroup, problems := in.nodegroupResources()
	if len(in.Members) > 0 {
		all := d
		all.Resources = maps.Clone(d.Resources)
		maps.Copy(all.Resources, ofNodegroup)
		t.addMachine(in, all)
		t.addHugePages(in)
		t.addAccelerators(in)
		t.addInterfaces(in)
	}
	for name, q := range d.Resources {
		t.declare(name, q, Source{Kind: SourceTag, Detail: resourcesPrefix + string(name)})
	}
	for name, q := range ofNodegroup {
		t.declare(name, q, Source{Kind: SourceTag, Detail: resourcesPrefix + string(name) + " of the EKS node group"})
	}
	t.dropSlicedGPU()
	for name := range t.Capacity { // an accelerator of which nodes show nothing is still waited for: its plugin may be broken
		if in.Learnt.Lacks(name) && !(in.Learnt.past && t.Restated(name)) && (!IsAccelerator(name) || in.Learnt.divides(name)) {
			t.drop(name)
		}
	}
	if _, ok := t.Capacity[corev1.ResourcePods]; !ok && len(t.Capacity) > 0 {
		t.declare(corev1.ResourcePods, decimal(defaultMaxPods), Source{Kind: SourceDefault, Detail: "kubelet's default"})
	}
	return problems
}

func (t *Template) addMachine(in *Input, d Declared) {
	capacities, allocatables := make([]amounts, len(in.Members)), make([]amounts, len(in.Members))
	for i, m := range in.Members {
		seen, _ := in.measured(m.Type)
		memory, _ := m.Type.MemoryCapacity()
		seen.capacity.pods, _ = in.maxPods(m.Type, d)
		capacities[i] = seen.capacity.or(amounts{cpuMillis: int64(m.Type.VCPU) * 1000, memoryBytes: memory, diskBytes: in.diskBytes(m.Type)})
		seen.allocatable.pods = capacities[i].pods
		allocatables[i] = seen.allocatable.or(in.unreserved(m.Type, capacities[i], d))
	}
	podsSource := func(t instancetypes.Type) Source {
		_, source := in.maxPods(t, d)
		return source
	}
	seen := func(name corev1.ResourceName, of func(amounts) int64, t instancetypes.Type, otherwise Source) Source {
		m, _ := in.measured(t)
		if of(m.capacity) == 0 || name == corev1.ResourcePods && podsSource(t).Kind != SourceLearnt {
			return otherwise
		}
		return observedSource(t)
	}
	for _, r := range []struct {
		name     corev1.ResourceName
		of       func(amounts) int64
		quantity func(int64) resource.Quantity
		why      func(instancetypes.Type) Source
	}{
		{corev1.ResourceCPU, func(a amounts) int64 { return a.cpuMillis }, millis, typeSource},
		{corev1.ResourceMemory, func(a amounts) int64 { return a.memoryBytes }, binary, memorySource},
		{corev1.ResourceEphemeralStorage, func(a amounts) int64 { return a.diskBytes }, binary, in.diskSource},
		{corev1.ResourcePods, func(a amounts) int64 { return a.pods }, decimal, podsSource},
	} {
		i := least(capacities, r.of)
		t.Capacity[r.name] = r.quantity(r.of(capacities[i]))
		t.Sources.Capacity[string(r.name)] = leastOf(in, i, seen(r.name, r.of, in.Members[i].Type, r.why(in.Members[i].Type)))
		i = least(allocatables, r.of)
		t.Allocatable[r.name] = r.quantity(r.of(allocatables[i]))
		reserved := Source{Kind: SourceFormula, Detail: "capacity of " + in.Members[i].Type.Name + " less what kubelet reserves"}
		t.Sources.Allocatable[string(r.name)] = leastOf(in, i, seen(r.name, r.of, in.Members[i].Type, reserved))
	}
}

func least(list []amounts, of func(amounts) int64) int {
	return slices.Index(list, slices.MinFunc(list, func(a, b amounts) int { return cmp.Compare(of(a), of(b)) }))
}

// leastOf adds to a source that member i has the least of several types.
func leastOf(in *Input, i int, s Source) Source {
	if len(in.Members) > 1 {
		s.Detail += fmt.Sprintf(" (%s has the least of %d types)", in.Members[i].Type.Name, len(in.Members))
	}
	return s
}

func millis(n int64) resource.Quantity  { return *resource.NewMilliQuantity(n, resource.DecimalSI) }
func decimal(n int64) resource.Quantity { return *resource.NewQuantity(n, resource.DecimalSI) }
func binary(n int64) resource.Quantity  { return *resource.NewQuantity(n, resource.BinarySI) }

func typeSource(t instancetypes.Type) Source {
	return Source{Kind: SourceCatalogue, Detail: t.Name + " in " + t.Source}
}

func memorySource(t instancetypes.Type) Source {
	if _, measured := t.MemoryCapacity(); measured {
		return Source{Kind: SourceCatalogue, Detail: "measured on a " + t.Name}
	}
	return Source{Kind: SourceFormula, Detail: "EC2's figure for " + t.Name + " less 5 % and 230 MiB"}
}

func (in *Input) diskSource(t instancetypes.Type) Source {
	switch {
	case in.InstanceStore && t.LocalNVMeBytes > 0 && in.Mirrored:
		return Source{Kind: SourceCatalogue, Detail: "local disks of " + t.Name + ", which keep everything twice (RAID 10)"}
	case in.InstanceStore && t.LocalNVMeBytes > 0:
		return Source{Kind: SourceCatalogue, Detail: "local disks of " + t.Name}
	case in.RootVolumeBytes > 0 && in.RootVolumeOfImage:
		return Source{Kind: SourceGroup, Detail: "volume of the image"}
	case in.RootVolumeBytes > 0:
		return Source{Kind: SourceGroup, Detail: "volume of the launch template"}
	}
	return Source{Kind: SourceDefault, Detail: fmt.Sprintf("a volume of %d GiB", DefaultVolumeBytes(in.Family())/gib)}
}

// addHugePages sets the huge pages that the image of every member sets aside, the least of them.
func (t *Template) addHugePages(in *Input) {
	least := slices.MinFunc(in.Members, func(a, b Member) int { return cmp.Compare(in.offeredHugePages(a.Type), in.offeredHugePages(b.Type)) })
	if bytes := in.offeredHugePages(least.Type); bytes > 0 {
		t.declare(HugePages2Mi, binary(bytes), Source{Kind: SourceFormula, Detail: "set aside by the image on a " + least.Type.Name})
	}
}

// addAccelerators sets each accelerator that every member has, to the least number of them, never to zero.
func (t *Template) addAccelerators(in *Input) {
	for name, count := range in.Members[0].Type.Accelerators() {
		for _, m := range in.Members[1:] {
			count = min(count, m.Type.Accelerators()[name])
		}
		if count > 0 {
			t.declare(corev1.ResourceName(name), decimal(int64(count)), Source{Kind: SourceCatalogue, Detail: in.Members[0].Type.Name})
		}
	}
}

// addInterfaces sets what a node publishes for its network interfaces: fabric adapters, addresses for pods on Windows, branch interfaces.
func (t *Template) addInterfaces(in *Input) {
	first := in.Members[0].Type
	adapters, addresses, branches := in.EFAInterfaces, first.IPv4PerENI-1, first.PodENIs
	for _, m := range in.Members {
		adapters, addresses = min(adapters, m.Type.EFAInterfaces), min(addresses, m.Type.IPv4PerENI-1)
		branches = min(branches, m.Type.PodENIs)
	}
	if adapters > 0 {
		t.declare(instancetypes.ResourceEFA, decimal(int64(adapters)), Source{Kind: SourceGroup, Detail: "network interfaces of the launch template"})
	}
	if in.CNI.PodInterfaces && in.Family() != Windows && branches > 0 {
		t.declare(instancetypes.ResourcePodENI, decimal(int64(branches)), Source{Kind: SourceCNI, Detail: "security groups for pods"})
	}
	ofEKS := !in.CNI.Other || in.UserData != nil || in.Nodegroup != nil // its Windows images bring their CNI, whatever Linux has
	if in.Family() == Windows && ofEKS && addresses > 0 {
		t.declare(ResourcePrivateIPv4, decimal(int64(addresses)), Source{Kind: SourceFormula, Detail: "addresses of one network interface"})
	}
}

// declare sets a resource in capacity and allocatable alike. Zero removes an extended resource.
func (t *Template) declare(name corev1.ResourceName, q resource.Quantity, source Source) {
	if q.IsZero() && strings.Contains(string(name), "/") {
		t.drop(name)
		return
	}
	t.Capacity[name], t.Allocatable[name] = q.DeepCopy(), q.DeepCopy()
	t.Sources.Capacity[string(name)], t.Sources.Allocatable[string(name)] = source, source
}

// Restated reports whether a tag states the resource, so that it overrules nodes that are gone. A tag of whole GPUs, which stock's users have
// beside parts, does not.
func (t *Template) Restated(name corev1.ResourceName) bool {
	return name != instancetypes.ResourceNVIDIA && t.Sources.Capacity[string(name)].Kind == SourceTag
}

func (t *Template) drop(name corev1.ResourceName) {
	delete(t.Capacity, name)
	delete(t.Allocatable, name)
	delete(t.Sources.Capacity, string(name))
	delete(t.Sources.Allocatable, string(name))
}

// nodegroupResources returns the resources that the tags of the EKS node group itself declare. As in the stock provider they
// win over the tags of the Auto Scaling group, and no other tags are read.
func (in *Input) nodegroupResources() (corev1.ResourceList, []Problem) {
	if in.Nodegroup == nil {
		return nil, nil
	}
	tags := map[string]string{}
	for key, value := range in.Nodegroup.Tags {
		if strings.Contains(key, resourcesPrefix) {
			tags[key] = value
		}
	}
	d, problems := ParseTags(in.Group, tags)
	for i := range problems {
		problems[i].Subject = "tag of the EKS node group"
	}
	return d.Resources, problems
}

// dropSlicedGPU removes the GPUs derived from the instance type where the tags declare slices of them: a node in MIG mode, or
// with renamed time slices, publishes the slices instead.
func (t *Template) dropSlicedGPU() {
	if t.Sources.Capacity[instancetypes.ResourceNVIDIA].Declared() {
		return
	}
	for name := range t.Capacity {
		if strings.HasPrefix(string(name), "nvidia.com/mig-") || name == "nvidia.com/gpu.shared" {
			t.drop(instancetypes.ResourceNVIDIA)
			return
		}
	}
}
