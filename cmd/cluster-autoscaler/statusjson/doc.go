// Package statusjson serves the report of decisions as JSON.
//
// It reads the record and nothing else, and never makes the core's loop wait. It starts no goroutine.
package statusjson
