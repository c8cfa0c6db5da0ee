// Package harness is what the benches share: the flags, the folder of the logs and the exit code of a bench, the forms of its report,
// waiting, medians, and the record of a cluster's pods.
//
// It knows no case and no figure of any bench. It starts no goroutine but those of a Record, which end with its Close.
package harness
