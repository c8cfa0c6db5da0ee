package decisions

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestInstanceIsLateByItsGroupsLastJoin(t *testing.T) {
	joins := map[string]time.Duration{"quick": 10 * time.Second, "slow": 50 * time.Second}
	for _, tt := range []struct {
		group  string
		within time.Duration
		want   time.Duration // after which it is late
	}{
		{group: "quick", within: 15 * time.Minute, want: time.Minute},
		{group: "slow", within: 15 * time.Minute, want: 150 * time.Second},
		{group: "unknown", within: 15 * time.Minute, want: 2 * time.Minute},
		{group: "slow", within: 30 * time.Second, want: 15 * time.Second},
	} {
		since := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
		u := unjoined{whole: tt.group, since: since}
		assert.Truef(t, !u.isLate(since.Add(tt.want), joins, tt.within) && u.isLate(since.Add(tt.want+1), joins, tt.within),
			"group %s, given up after %v: not late just after %v", tt.group, tt.within, tt.want)
	}
}
