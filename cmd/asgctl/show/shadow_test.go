package show

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

func TestShadowTableSaysHowTheTwoDiffer(t *testing.T) {
	at := time.Date(2026, 11, 25, 9, 30, 0, 0, time.UTC)
	c := decision.Comparison{From: at, Pods: 9, Both: 9, Sooner: 9 * 8.25, Groups: map[string]decision.Sides[int]{"web": {Shadow: 2, Leader: 4}, "batch": {Shadow: 1}},
		PerHour: decision.Sides[float64]{Shadow: 0.3, Leader: 0.4}, About: true, Causes: map[string]decision.Reason{"gpu": {Message: "a taint"}}}
	r := &decision.Report{Spend: decision.Spend{Currency: "USD"}, Shadow: &decision.Shadow{Waiting: 2,
		Days: []decision.ShadowDay{{Day: "2026-11-25", Launches: c, Times: 3, Other: 1,
			Removals: decision.Comparison{Both: 4, Sooner: -8, Groups: map[string]decision.Sides[int]{"web": {Shadow: 4, Leader: 5}}}}},
		Comparisons: []decision.Comparison{c, {From: at, Node: "n", Sooner: 90, Groups: map[string]decision.Sides[int]{"web": {Shadow: 1}}}}}}
	want := `Pods that wait for the leader: 2. Writes refused: 0.

DAY          THE SHADOW THAN THE LEADER
2026-11-25   Pods that needed a node: 9, 8.2 s sooner, 1 node fewer, about 0.1000 USD per hour cheaper (nodes: 3, the leader's: 4). Other groups: 1 of 3 times. Removed nodes: 4 by both, 2.0 s later on average, 1 by the leader alone, 0 by the shadow alone

AT                    SHADOW AND LEADER                                              THE SHADOW THAN THE LEADER
2026-11-25 09:30:00   pods: 9, nodes: 1 in batch (leader: 0), 2 in web (leader: 4)   8.2 s sooner, other groups, 1 node fewer, about 0.1000 USD per hour cheaper, none in gpu: a taint
2026-11-25 09:30:00   removal of n in web                                            the leader kept it for 90.0 s, until it was needed again
`
	assert.Empty(t, cmp.Diff(want, ShadowTable(r)), "table (-want +got)")
}
