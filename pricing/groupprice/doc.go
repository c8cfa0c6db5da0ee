// Package groupprice computes the hourly cost of an Auto Scaling group: of its next instances and of its present ones.
//
// The next instances follow the group's policy: its on-demand base first, above it the on-demand percentage, with fractions in
// favour of on-demand, as AWS does. The allocation strategy selects the instance type where it can. Some facts only AWS knows,
// such as the capacity of spot pools. Then the figure is an estimate with its basis. A type without a price is estimated from
// similar ones. A Cost states how much of it is estimated.
//
// The package owns the rules of the policy's cost. It is pure: no I/O, no goroutine. It must not import the core, because
// prices of instances need none. A Pricer is safe for any number of readers.
package groupprice
