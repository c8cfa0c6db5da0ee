// Package offer makes the price list of a region from the offer file of AWS's Price List bulk API for EC2.
//
// The file is JSON (products first, then terms), for one region or a whole partition, and can have several GB. Read takes it as a
// stream, gzipped or not. It keeps the few thousand products that pass the filter, so memory does not grow with the file.
//
// A file is accepted as a whole or not at all. JSON is read to its last brace, though the reserved terms at its end are not
// needed, because only the last brace proves that the file is complete. AWS publishes the same as CSV, which has no such end. A
// price that is missing, 0, in another currency or unit, or ambiguous is left out and reported, never guessed.
//
// The AWS Billing User Guide describes the format in "Reading the service price list file for an AWS service". The filter is
// the same as for the embedded lists (pricing/data/SOURCES.md): no pre-installed software, capacity in use, on demand,
// shared tenancy for virtual types and dedicated for bare metal, and regions, not Local Zones. The package owns the reading
// of this format. It must import neither the AWS SDK nor net, because prices are known offline.
package offer
