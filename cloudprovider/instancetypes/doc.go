// Package instancetypes knows what an EC2 instance type offers: vCPU, memory, architecture, accelerators, network
// interfaces, local disks.
//
// The facts come from a table that ships inside the binary (data/instance_types.csv, sources in data/SOURCES.md), so
// nothing here makes a network call. A Catalogue is immutable and safe for any number of readers; facts learnt
// later, for instance from DescribeInstanceTypes, are laid over it with With, which returns a new Catalogue.
//
// A user may bring a newer list, as a table or as the AWS CLI prints it: see ReadFile. Both forms mean the same.
//
// Size and cost: 1,397 types in a table of 76 KB, embedded as plain text. Compressed it would take 12 KB of the binary
// but 76 KB of heap; as it is, names and models stay slices of the binary's read-only data. It is parsed once, at the
// first call of Embedded, in 0.8 ms at most with 271 KB in 11 allocations (BenchmarkParse), and a Lookup takes 0.2 µs at
// most without any (BenchmarkLookup), both on one core of a two-core cloud machine.
package instancetypes
