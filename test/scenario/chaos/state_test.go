package chaos

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestGroupAtItsLeastEndsNothing(t *testing.T) {
	for _, tt := range []struct {
		name           string
		desired, lower int
		weights        []int
		want           bool
	}{
		{name: "at its minimum", desired: 1, lower: 1, weights: []int{1}, want: true},
		{name: "empty", want: true},
		{name: "above its minimum", desired: 2, lower: 1, weights: []int{1, 1}},
		{name: "short of an instance", desired: 1, lower: 1},
		{name: "with an instance beyond", desired: 1, lower: 1, weights: []int{1, 1}},
		{name: "with one that weighs more than is desired", desired: 1, weights: []int{2}},
		{name: "with one that weighs more than its minimum", desired: 1, lower: 1, weights: []int{2}, want: true},
		{name: "with one that AWS would end", desired: 2, weights: []int{2}},
		{name: "with two, of which one fills it", desired: 1, weights: []int{2, 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := fakeaws.GroupState{Desired: tt.desired}
			for _, w := range tt.weights {
				g.Instances = append(g.Instances, fakeaws.InstanceState{Weight: w})
			}
			assert.Equalf(t, tt.want, least(g, tt.lower), "least(%d desired, weights %v, minimum %d)", tt.desired, tt.weights, tt.lower)
		})
	}
}
