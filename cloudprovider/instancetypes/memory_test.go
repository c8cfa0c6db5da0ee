package instancetypes

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestMemoryCapacityIsMeasuredOrEstimated(t *testing.T) {
	for _, tt := range []struct {
		name         string
		typ          Type
		wantKiB      int64
		wantMeasured bool
	}{
		{
			name:    "measured, a quarter percent less",
			typ:     Type{MemoryBytes: 16384 * mib, MeasuredMemoryBytes: 16060416 * kib},
			wantKiB: 16018472, wantMeasured: true, // 40.96 MiB less, whole KiB
		},
		{name: "measured, small, 8 MiB less", typ: Type{MemoryBytes: 512 * mib, MeasuredMemoryBytes: 433152 * kib},
			wantKiB: 433152 - 8*1024, wantMeasured: true},
		{name: "estimated, 5 % and 230 MiB less", typ: Type{MemoryBytes: 1000 * mib}, wantKiB: (1000 - 50 - 230) * 1024},
		{name: "too small to estimate", typ: Type{MemoryBytes: 200 * mib}, wantKiB: 0},
	} {
		bytes, measured := tt.typ.MemoryCapacity()
		assert.Truef(t, bytes == tt.wantKiB*kib && measured == tt.wantMeasured,
			"%s: MemoryCapacity() = %d KiB, %v, want %d KiB, %v", tt.name, bytes/kib, measured, tt.wantKiB, tt.wantMeasured)
	}
}

// The estimate has to hold for types to come, so it is held against all that were measured.
func TestEstimateStaysBelowEveryMeasuredTypeButVT1(t *testing.T) {
	measured := 0
	for _, typ := range Embedded().Types() {
		if typ.MeasuredMemoryBytes == 0 {
			continue
		}
		measured++
		real := typ.MeasuredMemoryBytes
		typ.MeasuredMemoryBytes = 0
		estimate, _ := typ.MemoryCapacity()
		assert.Falsef(t, estimate > real && !strings.HasPrefix(typ.Name, "vt1."),
			"%s: estimated %d KiB, measured %d KiB", typ.Name, estimate/kib, real/kib)
	}
	assert.Truef(t, measured >= 600, "%d types were measured, want the 600 and more of the table", measured)
}
