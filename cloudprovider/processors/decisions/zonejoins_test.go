package decisions_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// joinsAfter has the core see the instances of the group, and their nodes join after that time.
func (w *world) joinsAfter(took time.Duration, group string) {
	w.T.Helper()
	nodes := w.ready(group)
	w.loop()
	w.at = w.at.Add(took)
	for _, node := range nodes {
		if _, err := w.factory.Core().V1().Nodes().Lister().Get(node.Name); err != nil {
			node.CreationTimestamp = metav1.NewTime(w.at)
			w.join(node)
		}
	}
	w.loop()
}

// starting is an instance of the group that starts, after one more loop.
func (w *world) starting(group string) decision.Node {
	w.T.Helper()
	nodes := w.loop().Nodes
	at := slices.IndexFunc(nodes, func(n decision.Node) bool { return n.State == decision.NodeStarting && n.Group == group })
	require.GreaterOrEqualf(w.T, at, 0, "an instance that starts among %+v", nodes)
	return nodes[at]
}

// startingFor is an instance of the group that starts, some time after another one was Ready.
func (w *world) startingFor(wait time.Duration, group string) decision.Node {
	w.T.Helper()
	w.ready(group)
	w.loop()
	w.at = w.at.Add(wait)
	return w.starting(group)
}

// Nobody knows when these instances were launched: the first was there before this process, the second the core sees a minute after it came.
func TestInstancesThatWereThereBeforeSetNoTime(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Group("web", "m5.large", 0, 1, 9, nil)), options())
	w.join(awsworld.Node("other", "")) // the core's loop ends early in an empty cluster
	w.joinsAfter(10*time.Second, "web")
	require.NoError(t, w.AWS.SetDesired("web", 2))
	w.Reread()
	w.ready("web")
	w.loop()
	w.at = w.at.Add(time.Minute)
	w.joinsAfter(10*time.Second, "web")
	w.put(waiting("web-0", "web", "1500m"), waiting("web-1", "web", "1500m"), waiting("web-2", "web", "1500m"))
	w.loop()
	n := w.startingFor(115*time.Second, "web")
	assert.Equalf(t, decision.CodeStarting, n.Reason.Code, "%+v is not late before two minutes", n)
	w.at = w.at.Add(10 * time.Second)
	n = w.starting("web")
	assert.Equalf(t, decision.CodeNotReady, n.Reason.Code, "%+v is late after two minutes", n)
}

// The first instance comes out of the warm pool. The second one starts cold.
func TestStartOutOfAWarmPoolMakesNoOtherLate(t *testing.T) {
	pooled := awsworld.Group("web", "m5.large", 0, 0, 9, nil)
	pooled.WarmPool = &fakeaws.WarmPool{Warmed: 1}
	w := newWorld(t, onAWS(t, pooled), options())
	w.join(awsworld.Node("other", "")) // the core's loop ends early in an empty cluster
	w.put(waiting("web-0", "web", "1500m"))
	w.loop()
	w.joinsAfter(15*time.Second, "web")
	w.put(waiting("web-1", "web", "1500m"), waiting("web-2", "web", "1500m"))
	w.loop()
	n := w.startingFor(80*time.Second, "web")
	assert.Equalf(t, decision.CodeStarting, n.Reason.Code, "%+v is not late", n)
}

func TestNodeThatTookLongAtLeastMakesNoOtherLate(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Group("web", "m5.large", 0, 1, 9, nil)), options())
	w.join(awsworld.Node("other", "")) // the core's loop ends early in an empty cluster
	w.joinsAfter(4*time.Minute, "web")
	w.put(waiting("web-0", "web", "1500m"), waiting("web-1", "web", "1500m"))
	w.loop()
	n := w.startingFor(7*time.Minute, "web")
	assert.Equalf(t, decision.CodeStarting, n.Reason.Code, "%+v is not late", n)
}

// Somebody deletes a node, and restarts its kubelet minutes later.
func TestNodeThatRegistersAgainSetsNoTime(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Group("web", "m5.large", 0, 1, 9, nil)), options())
	w.join(awsworld.Node("other", "")) // the core's loop ends early in an empty cluster
	nodes := w.client.CoreV1().Nodes()
	seen := func(there bool) {
		w.Eventually(func() string {
			if _, err := w.factory.Core().V1().Nodes().Lister().Get("web-0"); there != (err == nil) {
				return fmt.Sprintf("node %v, want it there: %t", err, there)
			}
			w.NextLoop()
			return map[bool]string{true: "its deletion is not known"}[!there && !w.NodeDeleted(w.View().Group("web").Instances[0].ID)]
		})
	}
	node := w.ready("web")[0]
	_, err := nodes.Create(t.Context(), node, metav1.CreateOptions{})
	require.NoError(t, err)
	seen(true)
	w.loop()
	require.NoError(t, nodes.Delete(t.Context(), node.Name, metav1.DeleteOptions{}))
	seen(false)
	w.loop()
	w.at = w.at.Add(4 * time.Minute)
	w.Eventually(func() string {
		if n := w.loop().Nodes[0]; !strings.HasSuffix(n.Reason.Message, "its node was deleted from Kubernetes") {
			return fmt.Sprintf("%+v does not say that its node was deleted", n)
		}
		return ""
	})
	node.CreationTimestamp = metav1.NewTime(w.at)
	_, err = nodes.Create(t.Context(), node, metav1.CreateOptions{})
	require.NoError(t, err)
	seen(true)
	w.loop()
	w.put(waiting("web-0", "web", "1500m"), waiting("web-1", "web", "1500m"))
	w.loop()
	n := w.startingFor(125*time.Second, "web")
	assert.Equalf(t, decision.CodeNotReady, n.Reason.Code, "%+v is late after two minutes", n)
}

// A pod that needs a zone has a group divided. Its instances take as long to join as before.
func TestDividedGroupKeepsTheTimeOfItsLastJoin(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Zoned(awsworld.Group("web", "m5.large", 0, 0, 9, nil), "abc")), options())
	w.join(awsworld.Node("other", "")) // the core's loop ends early in an empty cluster
	w.put(waiting("web-0", "web", "1"))
	w.loop()
	w.joinsAfter(50*time.Second, "web")
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
	n := w.starting(zone)
	assert.Equalf(t, decision.CodeStarting, n.Reason.Code, "%+v is not late before 150 s", n)
	w.at = w.at.Add(20 * time.Second)
	at := slices.IndexFunc(w.loop().Nodes, func(n decision.Node) bool { return n.Group == zone && n.Reason.Code == decision.CodeNotReady })
	assert.GreaterOrEqual(t, at, 0, "an instance that is late")
}
