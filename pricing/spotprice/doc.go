// Package spotprice reads the current spot prices of the instance types and zones in use from EC2, in the background.
//
// The first loop waits for it some seconds at most, and nothing else does. Until the first reading, and for pools without a price, a
// pricing.Book falls back on its ratio. A failed reading leaves the last good one in use, with its age. A reading costs one call per 100
// instance types and 1,000 prices. Run ends with its goroutine. The package owns the call and the pace of readings. It must not import the
// core, because prices of instances need none.
package spotprice
