package cooldown

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestLaterShiftEndCounts(t *testing.T) {
	soon, late, never := time.Unix(1, 0), time.Unix(2, 0), time.Time{}
	for _, tt := range []struct{ first, second, want time.Time }{
		{soon, late, late}, {late, soon, late}, {soon, never, never}, {never, soon, never},
	} {
		z := shiftedZones{}
		z.add("us-west-2a", tt.first)
		z.add("us-west-2a", tt.second)
		assert.Equalf(t, tt.want, z["us-west-2a"], "shifts until %v and %v: until", tt.first, tt.second)
	}
}
