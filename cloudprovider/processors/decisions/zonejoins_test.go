package decisions_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
)

// A pod that needs a zone has a group divided. Its instances take as long to join as before.
func TestDividedGroupKeepsTheTimeOfItsLastJoin(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Zoned(awsworld.Group("web", "m5.large", 0, 1, 9, nil), "abc")), options(), true)
	node := w.ready("web")[0]
	w.loop()
	w.at = w.at.Add(50 * time.Second)
	node.CreationTimestamp = metav1.NewTime(w.at)
	w.join(node)
	w.loop()
	w.NeedZones("web")
	zone := "web/" + awsworld.ZoneA
	w.Eventually(func() string {
		w.Reread()
		if w.View().NodeGroup(zone) == nil {
			return "the group is whole"
		}
		return ""
	})
	require.NoError(t, w.Grow(zone, 1))
	w.loop()
	w.at = w.at.Add(130 * time.Second)
	nodes := w.loop().Nodes
	at := slices.IndexFunc(nodes, func(n decision.Node) bool { return n.State == decision.NodeStarting && n.Group == zone })
	require.GreaterOrEqualf(t, at, 0, "an instance that starts among %+v", nodes)
	assert.Equalf(t, decision.CodeStarting, nodes[at].Reason.Code, "%+v is not late before 150 s", nodes[at])
	w.at = w.at.Add(20 * time.Second)
	at = slices.IndexFunc(w.loop().Nodes, func(n decision.Node) bool { return n.Group == zone && n.Reason.Code == decision.CodeNotReady })
	assert.GreaterOrEqual(t, at, 0, "an instance that is late")
}
