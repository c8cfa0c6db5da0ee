package instancetypes

// How far below EC2's figure the memory of a node lies: from 671 types measured with Bottlerocket in 2023 (data/SOURCES.md)
// and 22 readings of other nodes from 2018 to 2026 (nodetemplate/testdata/real_nodes.csv).
const (
	// A node with a newer kernel reported up to 32 MiB less than the measurement of its type, and at most 0.11 % of
	// the memory (t3.large with kernel 6.12). The measured figure is lowered by twice that, and by 8 MiB at least.
	driftDivisor  = 400
	driftMinBytes = 8 * mib

	// An unmeasured type is assumed to lose 230 MiB and 5 %. This line lies above every measured type but the three vt1. Their
	// video cards take host memory as well, and all vt1 are measured.
	estimateFixedBytes = 230 * mib
	estimateDivisor    = 20
)

// MemoryCapacity returns the memory capacity that a node of this type will at least report, in bytes and a whole number of KiB,
// and whether it rests on a measurement of the type or on the general estimate. It errs on the low side: a template that
// promises too much launches nodes that the pods do not fit.
func (t Type) MemoryCapacity() (bytes int64, measured bool) {
	if m := t.MeasuredMemoryBytes; m > 0 {
		return wholeKiB(m - max(driftMinBytes, t.MemoryBytes/driftDivisor)), true
	}
	return wholeKiB(t.MemoryBytes - estimateFixedBytes - t.MemoryBytes/estimateDivisor), false
}

func wholeKiB(bytes int64) int64 { return max(0, bytes) / kib * kib }
