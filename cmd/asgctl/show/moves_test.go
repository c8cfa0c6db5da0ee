package show

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

func TestMovesTableSaysHowFarEachIs(t *testing.T) {
	at := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	node := func(name string, state decision.NodeState, m decision.Move) decision.Node {
		m.Reason, m.Cause = "rotation", "version 1, and new instances get 2"
		return decision.Node{Name: name, Group: "web", State: state, Move: &m}
	}
	r := &decision.Report{At: at, Nodes: []decision.Node{
		{Name: "other"},
		node("held", decision.NodeNeeded, decision.Move{Hold: "budget", Waits: "1 nodes move, as many as --asg-move-budget lets"}),
		node("failed", decision.NodeNeeded, decision.Move{Since: at.Add(-time.Hour), Failures: 1, Retry: at.Add(10 * time.Minute)}),
		node("starts", decision.NodeNeeded, decision.Move{Since: at.Add(-time.Minute), Replacement: "web"}),
		node("drained", decision.NodeDraining, decision.Move{Since: at.Add(-2 * time.Minute), Replacement: "web"}),
		node("new", decision.NodeNeeded, decision.Move{Since: at}),
	}}
	want := `NAME      GROUP   REASON     FOR   REPLACEMENT   FAILURES   STATE                                                    CAUSE
failed    web     rotation   60m   -             1          tried again in 10m                                       version 1, and new instances get 2
starts    web     rotation   60s   web           0          its replacement starts                                   version 1, and new instances get 2
drained   web     rotation   2m    web           0          draining                                                 version 1, and new instances get 2
new       web     rotation   0s    -             0          looks for a place for its pods                           version 1, and new instances get 2
held      web     rotation   -     -             0          waits: 1 nodes move, as many as --asg-move-budget lets   version 1, and new instances get 2
`
	assert.Empty(t, cmp.Diff(want, MovesTable(r)), "table (-want +got)")
}
