package interruption_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// state tags the group as owned by these clusters, and returns once the Cache has read the tags.
func (w *world) state(clusters ...string) {
	w.t.Helper()
	owned, tags := "owned", map[string]*string{}
	for _, name := range clusters {
		tags["kubernetes.io/cluster/"+name] = &owned
	}
	require.NoError(w.t, w.aws.SetTags("spot", tags))
	w.wait("the tags in a reading", func() bool {
		s := w.cache.Snapshot()
		return len(clusters) > 1 && len(s.Foreign()) == 1 || s.Group("spot") != nil && len(s.Group("spot").Stated) == len(clusters)
	})
}

// At least one of two owners is another cluster.
func TestInstanceOfAnotherClusterIsLeftAlone(t *testing.T) {
	w, warned := parallelWorld(t, scalingGroup(0, 2, 5))
	w.run(warned, "a")
	w.running()
	w.state("a", "b")
	w.send(warning(warned, time.Now()))
	w.wait("the message is put back for others", func() bool { return w.handled()["left-to-others spot-interruption"] > 0 })
	node := w.nodes()[warned]
	assert.Truef(t, node != nil && !node.Spec.Unschedulable, "its node became %v, want it as it was", node)
	if q := w.aws.Queues()[0]; w.terminations() != 0 || w.desired() != 2 || q.Visible+q.InFlight+q.Delayed == 0 {
		t.Errorf("%d terminations, desired %d, queue %+v, want no change and the message left", w.terminations(), w.desired(), q)
	}
}

func TestUnownedInstanceWithoutNodeIsLeftAlone(t *testing.T) {
	w, warned := parallelWorld(t, scalingGroup(0, 2, 5))
	w.state("b")
	require.NoError(t, w.cluster.CoreV1().Nodes().Delete(t.Context(), w.nodes()[warned].Name, metav1.DeleteOptions{}))
	w.running()
	w.send(warning(warned, time.Now()))
	w.wait("the message is put back, and tried again", func() bool { return w.handled()["hand-back-failed spot-interruption"] > 1 })
	assert.Truef(t, w.terminations() == 0 && w.desired() == 2,
		"%d terminations, desired %d, want the instance untouched", w.terminations(), w.desired())
}
