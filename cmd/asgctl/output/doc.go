// Package output writes results to a terminal or to a program: as a table, as JSON or as YAML.
//
// It owns the formats and knows nothing of the results. It must not import the core, because the CLI shows the autoscaler's
// knowledge of AWS and needs no simulated cluster.
package output
