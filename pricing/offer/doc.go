// Package offer reads the offer file of AWS's Price List bulk API for EC2 and makes a price list of each region asked for.
//
// The file comes as JSON (products first, then terms) or as CSV (five lines about the file, the column names, one line per
// term), of one region or of a whole partition, and can have several GB. Read takes it as a stream, in either form, gzipped
// or not: it keeps the products that pass the filter, a few thousand, and passes over everything else, so memory does not
// grow with the file.
//
// A file is taken as a whole or not at all. JSON is read to its last brace, though the reserved terms at its end hold
// nothing wanted, because only the last brace tells a whole file from an interrupted one. CSV has no such end; every line
// must have all its fields, and a cut exactly between two lines can only be noticed by whoever transports the file. A price
// that is missing, of 0, in another currency or unit, or not the only one of its type is left out and reported: never guessed.
//
// The format is that of "Reading the service price list file for an AWS service" in the AWS Billing User Guide. The filter
// is that of the embedded lists (pricing/data/SOURCES.md): no pre-installed software, capacity in use, on demand, shared
// tenancy for virtual types and dedicated for bare metal, and places that are regions, not Local Zones.
package offer
