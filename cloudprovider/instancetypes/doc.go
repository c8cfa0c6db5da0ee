// Package instancetypes knows the hardware of EC2 instance types: vCPU, memory, architecture, accelerators, network interfaces,
// local disks.
//
// The facts come from a list inside the binary (data/instance_types.json, sources in data/SOURCES.md), so the package makes no network
// call. It must import neither Kubernetes nor the AWS SDK, because facts about hardware need none. A Catalogue is immutable and safe for
// any number of readers. With lays later facts over it, for instance from DescribeInstanceTypes, and returns a new Catalogue.
//
// A user may bring a newer list as output of the AWS CLI: see ReadFile.
//
// Size and cost: 1,397 types in a list of 226 KB, embedded as plain text. The first call of Embedded parses it, in about three
// milliseconds (BenchmarkParse). A Lookup takes 0.2 µs at most and allocates nothing
// (BenchmarkLookup). Both figures are for one core of a two-core cloud machine.
//
// Decisions: docs/adr/embedded-prices.md.
package instancetypes
