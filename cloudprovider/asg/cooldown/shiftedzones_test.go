package cooldown

import (
	"testing"
	"time"
)

func TestLaterShiftEndCounts(t *testing.T) {
	soon, late, never := time.Unix(1, 0), time.Unix(2, 0), time.Time{}
	for _, tt := range []struct{ first, second, want time.Time }{
		{soon, late, late}, {late, soon, late}, {soon, never, never}, {never, soon, never},
	} {
		z := shiftedZones{}
		z.add("us-west-2a", tt.first)
		z.add("us-west-2a", tt.second)
		if got := z["us-west-2a"]; got != tt.want {
			t.Errorf("shifts until %v and %v: until %v, want %v", tt.first, tt.second, got, tt.want)
		}
	}
}
