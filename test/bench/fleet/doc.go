// Package fleet simulates the autoscalers of many clusters that share one account, and so its limits of API calls.
//
//	make bench-fleet CLUSTERS=500 RATE=10        # ten minutes of 500 clusters, in two
//
// Each cluster has clients of the SDK, a Cache and a Provider of its own, as its autoscaler has. They call the emulated AWS without a network, in a
// time of their own that passes only when all of them wait. So ten minutes of the fleet take as long as its calls do. docs/scale.md shows the
// results, and which limits of AWS are documented.
//
// The package has tests only.
package fleet
