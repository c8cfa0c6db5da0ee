// Package instancetypes knows the hardware of EC2 instance types: vCPU, memory, architecture, accelerators, network interfaces,
// local disks.
//
// The facts come from a table inside the binary (data/instance_types.csv, sources in data/SOURCES.md), so the package makes no network
// call. It must import neither Kubernetes nor the AWS SDK, because facts about hardware need none. A Catalogue is immutable and safe for
// any number of readers. With lays later facts over it, for instance from DescribeInstanceTypes, and returns a new Catalogue.
//
// A user may bring a newer list as output of the AWS CLI: see ReadFile.
//
// Size and cost: 1,397 types in a table of 76 KB, embedded as plain text. Compressed it would take 12 KB of the binary but 76
// KB of heap. As plain text, names and models stay slices of the binary's read-only data. The first call of Embedded parses it,
// in about a millisecond (BenchmarkParse). A Lookup takes 0.2 µs at most and allocates nothing
// (BenchmarkLookup). Both figures are for one core of a two-core cloud machine.
//
// Decisions: docs/adr/embedded-prices.md.
package instancetypes
