// Package spotprice reads the current spot prices of the instance types and zones in use from EC2, in the background.
//
// Nothing waits for it. Until the first reading, and for whatever EC2 does not tell, a pricing.Book falls back on its ratio; a
// reading that fails leaves the last good one in use, with its age. A reading costs one call per 100 instance types and 1,000
// prices. Run owns no other goroutine.
package spotprice
