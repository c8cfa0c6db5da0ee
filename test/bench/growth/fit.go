package growth

import "math"

const (
	// flat is the share by which a figure must grow from the first size to the last until an exponent says anything.
	flat = 0.1
	// tooFast is the exponent above which a figure counts as growing faster than linearly, over all sizes and over the two largest, where a constant
	// part hides less. Sorting stays below it. So does linear work on data that no longer fits the processor's caches.
	tooFast = 1.25
)

// exponent fits k of value = a·size^k, by least squares of the logarithms, to values at sizes that double. It returns 0 for a figure that does not grow.
func exponent(values []float64) float64 {
	last := len(values) - 1
	if values[last] <= values[0]*(1+flat) {
		return 0
	}
	mean, above, below := float64(last)/2, 0.0, 0.0
	for n, value := range values {
		x := float64(n) - mean
		above, below = above+x*math.Log2(max(value, values[last]/1000)), below+x*x
	}
	return math.Round(100*above/below) / 100
}
