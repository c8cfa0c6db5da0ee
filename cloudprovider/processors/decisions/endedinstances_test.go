package decisions_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// A bootstrap that ends in a shutdown has AWS launch one instance after the other, each of them gone before it is late.
func TestAnInstanceIsLateAtOnceAfterTwoThatEndedWithoutANode(t *testing.T) {
	slow := func(c *fakeaws.Config) { c.Delays.InService = fakeaws.Duration(time.Second) }
	for _, tt := range []struct {
		name string
		then func(w *world, id string) // to the first instance and the second
		want decision.Code             // of the third one's reason
	}{
		{name: "each is replaced", want: decision.CodeNotReady, then: func(w *world, id string) { require.NoError(t, w.AWS.Reclaim(id)) }},
		{name: "somebody wants fewer", want: decision.CodeStarting, then: func(w *world, _ string) {
			w.Emptied("web")
			w.loop()
			require.NoError(t, w.AWS.SetDesired("web", 1))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, awsworld.NewAWS(t, slow, awsworld.Group("web", "m5.large", 0, 0, 9, nil)), options(), true)
			w.loop()
			require.NoError(t, w.AWS.SetDesired("web", 1))
			// next returns another instance than this one, once it is in service and a loop has seen it start.
			next := func(than string) (id string) {
				w.Eventually(func() string {
					w.Reread()
					w.at = w.at.Add(time.Millisecond)
					w.loop()
					at := slices.IndexFunc(w.Cache.Snapshot().Group("web").Instances, func(i group.Instance) bool { return i.ID != than && !i.Lifecycle.Leaving() })
					if at < 0 || w.Cache.Snapshot().Group("web").Instances[at].Lifecycle.Starting() {
						return "no instance is in service"
					}
					id = w.Cache.Snapshot().Group("web").Instances[at].ID
					return ""
				})
				w.Reread()
				w.loop()
				return id
			}
			id := ""
			for range 2 {
				id = next(id)
				tt.then(w, id)
			}
			third := next(id)
			w.at = w.at.Add(time.Second)
			nodes := w.loop().Nodes
			at := slices.IndexFunc(nodes, func(n decision.Node) bool { return n.InstanceID == third })
			require.GreaterOrEqualf(t, at, 0, "instance %s among %+v", third, nodes)
			assert.Equalf(t, tt.want, nodes[at].Reason.Code, "its reason %+v", nodes[at].Reason)
		})
	}
}

// AWS ends some of the instances that start, and nobody needs others in their place.
func TestNoInstanceIsLateAtOnceBecauseSomebodyWantsFewer(t *testing.T) {
	w := newWorld(t, awsworld.NewAWS(t, nil, awsworld.Group("web", "m5.large", 0, 0, 9, nil)), options(), true)
	w.loop()
	for _, desired := range []int{3, 6, 3} {
		require.NoError(t, w.AWS.SetDesired("web", desired))
		for range 2 {
			w.Eventually(func() string {
				w.Reread()
				w.at = w.at.Add(time.Millisecond)
				w.loop()
				all := w.Cache.Snapshot().Group("web").Instances
				other := slices.ContainsFunc(all, func(i group.Instance) bool { return i.Lifecycle != "InService" })
				return map[bool]string{false: "not all are in service"}[len(all) == desired && !other]
			})
		}
	}
	nodes := slices.DeleteFunc(w.loop().Nodes, func(n decision.Node) bool { return n.InstanceID == "" })
	require.Len(t, nodes, 3)
	for _, n := range nodes {
		assert.Equalf(t, decision.CodeStarting, n.Reason.Code, "its reason %+v", n.Reason)
	}
}
