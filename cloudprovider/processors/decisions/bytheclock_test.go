package decisions_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/stretchr/testify/require"
)

// The schedule begins in two to three minutes. A node may take three minutes to be Ready, until one of the group has been seen to take less.
func TestMinimumComesEarlierByTheTimeOfTheLastNodes(t *testing.T) {
	tag := group.TagSchedule + "soon"
	w := newWorld(t, onAWS(t, awsworld.Group("seen", "m5.large", 0, 0, 9, map[string]string{awsworld.Template + "label/pool": "seen"}),
		awsworld.Group("new", "m5.large", 0, 0, 9, nil), awsworld.Group("old", "m5.large", 0, 1, 9, nil)), options())
	w.join(awsworld.Node("other", "")) // the core's loop ends early in an empty cluster
	pod := waiting("web-0", "web", "1")
	pod.Spec.NodeSelector = map[string]string{"pool": "seen"}
	w.put(pod)
	w.loop() // the instance of the old group was there before
	w.loop()
	for _, node := range append(w.Members("seen", map[string]string{"pool": "seen"}), w.Members("old", nil)...) {
		node.CreationTimestamp = metav1.NewTime(w.at.Add(5 * time.Second))
		for at := range node.Status.Conditions {
			node.Status.Conditions[at].LastTransitionTime = metav1.NewTime(w.at.Add(10 * time.Second))
		}
		w.put(node)
	}
	w.loop()
	soon := time.Now().UTC().Truncate(time.Minute).Add(3*time.Minute).Format("4 15") + " any any any for=1h min=5"
	for _, name := range []string{"seen", "new", "old"} {
		require.NoError(t, w.AWS.SetTags(name, map[string]*string{tag: &soon}))
	}
	w.Reread()
	r := w.loop()
	g := w.group(r, "seen")
	assert.Truef(t, g.Min == 0 && len(g.Clock) == 0, "the minimum is %d by %q, want none so long before", g.Min, g.Clock)
	for _, name := range []string{"new", "old"} {
		g := w.group(r, name)
		assert.Truef(t, g.Min == 5 && len(g.Clock) == 1 && strings.Contains(g.Clock[0], "at least 5 from "),
			"the minimum of %s is %d by %q, want 5 by the schedule", name, g.Min, g.Clock)
	}
}
