package show

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

func TestShadowTableSaysHowTheTwoDiffer(t *testing.T) {
	at := time.Date(2026, 11, 25, 9, 30, 0, 0, time.UTC)
	c := decision.Comparison{From: at, Pods: 9, Sooner: decision.Mean{Mean: 8.25, Count: 9},
		Shadow: decision.ShadowNodes{Groups: map[string]int{"web": 2, "batch": 1}, PerHour: 0.3},
		Leader: decision.ShadowNodes{Groups: map[string]int{"web": 4}, PerHour: 0.4, About: true}}
	r := &decision.Report{Spend: decision.Spend{Currency: "USD"}, Shadow: &decision.Shadow{Waiting: 2, Comparisons: []decision.Comparison{c},
		Days: []decision.ShadowDay{{Day: "2026-11-25", Comparison: c, Times: 3, Other: 1, Removed: decision.Mean{Mean: -2, Count: 4},
			Removals: map[string]int{decision.RemovedByBoth: 4, decision.RemovedByLeader: 1}}},
		Removals: []decision.ShadowRemoval{{At: at, Node: "n", Group: "web", By: decision.RemovedByShadow, Seconds: 90}}}}
	want := `Pods that wait for the leader: 2. Writes refused: 0.

DAY          THE SHADOW THAN THE LEADER
2026-11-25   Pods that needed a node: 9, 8.2 s sooner, 1 node fewer, about 0.1000 USD per hour cheaper (nodes: 3, the leader's: 4). Other groups: 1 of 3 times. Removed nodes: 4 by both, 2.0 s later on average, 1 by the leader alone, 0 by the shadow alone

AT                    SHADOW                                 LEADER     THE SHADOW THAN THE LEADER
2026-11-25 09:30:00   pods: 9, nodes: 1 in batch, 2 in web   4 in web   8.2 s sooner, other groups, 1 node fewer, about 0.1000 USD per hour cheaper
2026-11-25 09:30:00   removal of n                           web        the leader kept it for 90.0 s, until it was needed again
`
	if diff := cmp.Diff(want, ShadowTable(r)); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}
