package calm

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
)

type group struct {
	cloudprovider.NodeGroup
	id string
}

func (g *group) Id() string { return g.id }

func TestInterruptedGroupsArePassedOverWhereOthersHelp(t *testing.T) {
	a, b := &corev1.Pod{}, &corev1.Pod{}
	option := func(id string, pods ...*corev1.Pod) expander.Option {
		return expander.Option{NodeGroup: &group{id: id}, NodeCount: 1, Pods: pods}
	}
	for _, tt := range []struct {
		name        string
		options     []expander.Option
		interrupted []string
		want        []string
	}{
		{"none is", []expander.Option{option("x", a), option("y", a)}, nil, []string{"x", "y"}},
		{"others help the same pods", []expander.Option{option("x", a, b), option("y", a, b)}, []string{"x"}, []string{"y"}},
		{"several others do together", []expander.Option{option("x", a, b), option("y", a), option("z", b)}, []string{"x"}, []string{"y", "z"}},
		{"it alone helps a pod", []expander.Option{option("x", a, b), option("y", a)}, []string{"x"}, []string{"x", "y"}},
		{"it is the only one", []expander.Option{option("x", a)}, []string{"x"}, []string{"x"}},
		{"all are", []expander.Option{option("x", a), option("y", a)}, []string{"x", "y"}, []string{"x", "y"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := Filter{Interrupted: func(id string) bool { return slices.Contains(tt.interrupted, id) }}
			var got []string
			for _, o := range f.BestOptions(tt.options, nil) {
				got = append(got, o.NodeGroup.Id())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
