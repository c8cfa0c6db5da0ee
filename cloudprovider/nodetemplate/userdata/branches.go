package userdata

import (
	"cmp"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

const inAllBranches = "the same in all branches of the script"

// shared evaluates what stands in the branches of a condition, of which only the node knows which it takes. All facts that differ are reported.
func shared[T any](r *reader, branches []T, evaluate func(T) Facts) Facts {
	f := evaluate(branches[0])
	for _, b := range branches[1:] {
		r.intersect(&f, evaluate(b), inAllBranches)
	}
	return f
}

func (r *reader) intersect(f *Facts, other Facts, same string) {
	conditional := func(key, value string, used bool) {
		r.report(nodetemplate.Problem{Key: key, Value: value, Used: used, Reason: nodetemplate.ReasonConditional, Expected: same})
	}
	keys := slices.AppendSeq(slices.Collect(maps.Keys(f.Labels)), maps.Keys(other.Labels))
	for _, key := range slices.Compact(slices.Sorted(slices.Values(keys))) {
		value, ok := f.Labels[key]
		if there, too := other.Labels[key]; !ok || !too || value != there {
			conditional("--node-labels "+key, "", false)
			delete(f.Labels, key)
		}
	}
	for _, taint := range slices.Concat(f.Taints, other.Taints) { // too many taints keep pods away, too few launch nodes for nothing
		if !slices.Contains(f.Taints, taint) || !slices.Contains(other.Taints, taint) {
			conditional("--register-with-taints "+taint.Key, taint.Value+":"+string(taint.Effect), true)
			if !slices.ContainsFunc(f.Taints, func(t corev1.Taint) bool { return t.MatchTaint(&taint) }) {
				f.Taints = append(f.Taints, taint)
			}
		}
	}
	if f.MaxPods != other.MaxPods || f.MostPods != other.MostPods {
		conditional("--max-pods", "", true)
		for _, stated := range []int{f.MaxPods, other.MaxPods, other.MostPods} {
			f.MostPods = min(cmp.Or(f.MostPods, stated), cmp.Or(stated, f.MostPods))
		}
		f.MaxPods = min(f.MaxPods, other.MaxPods)
	}
	if f.PodsPerCore != other.PodsPerCore {
		conditional("--pods-per-core", "", true)
		f.PodsPerCore = min(cmp.Or(f.PodsPerCore, other.PodsPerCore), cmp.Or(other.PodsPerCore, f.PodsPerCore))
	}
	for _, kept := range []struct {
		flag         string
		ours, theirs *nodetemplate.Reservation
	}{
		{"--kube-reserved", &f.KubeReserved, &other.KubeReserved},
		{"--system-reserved", &f.SystemReserved, &other.SystemReserved},
		{"--eviction-hard", &f.EvictionHard, &other.EvictionHard},
	} {
		if !apiequality.Semantic.DeepEqual(kept.ours, kept.theirs) {
			conditional(kept.flag, "", true)
			kept.ours.Others = append(slices.Clone(kept.ours.Others), *kept.theirs)
		}
	}
	f.IgnoreAddresses = f.IgnoreAddresses && other.IgnoreAddresses
	if f.InstanceStore != other.InstanceStore {
		conditional("local disks", "", false)
	}
	f.InstanceStore, f.Mirrored = f.InstanceStore && other.InstanceStore, f.Mirrored || other.Mirrored
	if f.PodsExpression != other.PodsExpression {
		conditional("maxPodsExpression", "", false)
		f.PodsExpression = nodetemplate.UnknownPods
	}
	if f.ClusterName != other.ClusterName {
		f.ClusterName = ""
	}
}
