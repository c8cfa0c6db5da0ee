package show

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

func TestPlanTable(t *testing.T) {
	for _, tt := range []struct {
		found *decision.Consolidation
		want  string
	}{
		{nil, "The autoscaler does not look for nodes that cost too much: start it with --asg-consolidate=plan.\n"},
		{&decision.Consolidation{}, "No node is known to cost more than it has to.\n"},
		{&decision.Consolidation{Plans: []decision.ConsolidationPlan{{Nodes: []string{"a", "b"}, NewNode: "spot", PerHour: 2, Saving: 1.35}, {Nodes: []string{"c"}, PerHour: 1, Saving: 1, Begun: true}}},
			"NODES   NEW-NODE   PER-HOUR   SAVING   STATE\n" +
				"a b     spot       2.000      1.350    proposed\n" +
				"c       -          1.000      1.000    carried out\n\nIn USD per hour. All of them save 2.350 of 12.500.\n"},
	} {
		assert.Empty(t, cmp.Diff(tt.want, PlanTable(decision.Spend{Currency: "USD", PerHour: 12.5, Consolidation: tt.found})), "(-want +got)")
	}
}
