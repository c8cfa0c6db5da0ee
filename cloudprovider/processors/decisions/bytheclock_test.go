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
	w := newWorld(t, onAWS(t, awsworld.Group("seen", "m5.large", 0, 0, 9, nil), awsworld.Group("new", "m5.large", 0, 0, 9, nil)), options(), true)
	require.NoError(t, w.Grow("seen", 1))
	w.loop()
	node := w.Members("seen", nil)[0]
	node.CreationTimestamp = metav1.NewTime(w.at.Add(5 * time.Second))
	for at := range node.Status.Conditions {
		node.Status.Conditions[at].LastTransitionTime = metav1.NewTime(w.at.Add(10 * time.Second))
	}
	w.put(node)
	w.loop()
	soon := time.Now().UTC().Truncate(time.Minute).Add(3*time.Minute).Format("4 15") + " any any any for=1h min=5"
	for _, name := range []string{"seen", "new"} {
		require.NoError(t, w.AWS.SetTags(name, map[string]*string{tag: &soon}))
	}
	w.Reread()
	r := w.loop()
	g := w.group(r, "seen")
	assert.Truef(t, g.Min == 0 && len(g.Clock) == 0, "the minimum is %d by %q, want none so long before", g.Min, g.Clock)
	if g := w.group(r, "new"); g.Min != 5 || len(g.Clock) != 1 || !strings.Contains(g.Clock[0], "at least 5 from ") {
		t.Errorf("the minimum is %d by %q, want 5 by the schedule", g.Min, g.Clock)
	}
}
