// Package pricing knows what an instance costs per hour, in which currency, and how good that figure is.
//
// A List holds the on-demand list prices of one region in one currency. Those of four regions ship inside the
// binary (data/, sources in data/SOURCES.md), so nothing here makes a network call: cn-north-1 in CNY, us-east-1,
// us-gov-east-1 and us-gov-west-1 in USD. Any other region is served by the nearest of them within its partition. Such
// figures order instance types well and state amounts badly, so each is marked as an estimate with its basis. Currencies
// are never converted, and amounts in two of them never compared.
//
// A List is immutable and safe for any number of readers.
//
// Size and cost: 3,002 prices in 59 KB of plain text, embedded as it is so that names stay slices of the binary's
// read-only data. Each list is parsed at its first use: the largest, 1,367 prices, in 0.3 ms with 49 KB in 2 allocations
// (BenchmarkParse). A Lookup takes 0.05 µs and allocates nothing (BenchmarkLookup). Both on one core of a two-core cloud
// machine.
package pricing
