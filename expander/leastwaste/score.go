package leastwaste

// Size is an amount of the two resources that are weighed.
type Size struct {
	CPUMillis   int64
	MemoryBytes int64
}

// Score is the mean idle ratio of what is offered once used is taken from it: 0 is full, 1 is empty. It is below 0 only
// where more is used than offered, and always finite.
func Score(used, offered Size) float64 {
	return mean(idleRatio(used.CPUMillis, offered.CPUMillis), idleRatio(used.MemoryBytes, offered.MemoryBytes))
}

// idleRatio is the unused share of offered. Where nothing is offered nothing can be put to use, so that counts as wholly
// idle and never speaks for the option.
func idleRatio(used, offered int64) float64 {
	if offered <= 0 {
		return 1
	}
	return float64(offered-used) / float64(offered)
}

// mean halves the plain sum, which is exact in binary floating point: options whose sums are equal stay equal.
func mean(a, b float64) float64 { return (a + b) / 2 }
