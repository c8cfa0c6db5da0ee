// Package pricing knows the hourly price of an instance, its currency, and how good that figure is.
//
// A List holds the on-demand list prices of one region in one currency. Lists of four regions ship inside the binary (data/,
// sources in data/SOURCES.md), so the package makes no network call: cn-north-1 in CNY, us-east-1, us-gov-east-1 and
// us-gov-west-1 in USD. Currencies are never converted, and amounts in two of them never compared.
//
// A Book answers for one region: the user's own Terms, over live spot prices, over the embedded list, over the lists of other regions
// times the ratio of the regions, with the user's discounts. Every figure has its currency, date and source, and an estimate its basis.
// Package pricefile reads the user's file, and spotprice asks EC2. pricing owns the order of these sources. It must import neither the AWS
// SDK nor net, because prices are known offline, nor the core, because prices of instances need none.
//
// Rates estimate what no list of prices has: an instance type that is too new, and a pod. A new size of a known family costs as
// its family does, by vCPU, memory and accelerators. A new family of the m, c and r types costs as the families of its generation
// and processor do in these three classes. All others cost as their class does. On the embedded list of us-east-1, with a family
// left out of it that no other list has, an m, c or r type is met within 3 % in the median and within 6 % for nine in ten, any
// other only within a quarter in the median.
//
// A List, Terms and Rates are immutable and safe for any number of readers. A Book changes as a whole and is safe for concurrent use.
//
// Size and cost: 3,002 prices in 59 KB of plain text, embedded uncompressed so that names stay slices of the binary's read-only data. Each
// list is parsed at its first use: the largest, 1,367 prices, in 0.4 ms with 82 KB in 7 allocations (BenchmarkParse). A Lookup takes 0.05
// µs, an answer of a Book below 0.5 µs. Neither allocates, except for an estimate by a ratio (BenchmarkLookup, BenchmarkBook). The ratios
// to another list are found at the first use of that list, in a millisecond. All figures are for one core of a two-core cloud machine.
//
// Decisions: docs/adr/embedded-prices.md.
package pricing
