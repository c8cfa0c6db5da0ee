package expander

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	coreexpander "k8s.io/autoscaler/cluster-autoscaler/expander"
)

func TestInterruptedGroupsArePassedOverIfOthersHelp(t *testing.T) {
	a, b := &corev1.Pod{}, &corev1.Pod{}
	option := func(id string, pods ...*corev1.Pod) coreexpander.Option {
		return coreexpander.Option{NodeGroup: &group{id: id}, NodeCount: 1, Pods: pods}
	}
	for _, tt := range []struct {
		name        string
		options     []coreexpander.Option
		interrupted []string
		want        []string
	}{
		{"none is", []coreexpander.Option{option("x", a), option("y", a)}, nil, []string{"x", "y"}},
		{"others help the same pods", []coreexpander.Option{option("x", a, b), option("y", a, b)}, []string{"x"}, []string{"y"}},
		{"several others do together", []coreexpander.Option{option("x", a, b), option("y", a), option("z", b)}, []string{"x"}, []string{"y", "z"}},
		{"it alone helps a pod, which the next choice is for", []coreexpander.Option{option("x", a, b), option("y", a)}, []string{"x"}, []string{"y"}},
		{"it is the only one", []coreexpander.Option{option("x", a)}, []string{"x"}, []string{"x"}},
		{"all are", []coreexpander.Option{option("x", a), option("y", a)}, []string{"x", "y"}, []string{"x", "y"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := notInterrupted(func(id string) bool { return slices.Contains(tt.interrupted, id) })
			assert.Equal(t, tt.want, ids(f.BestOptions(tt.options, nil)))
		})
	}
}
