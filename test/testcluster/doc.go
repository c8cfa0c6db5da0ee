// Package testcluster starts a control plane for one test.
//
// It belongs to the test, which stops it at its end. A test under -short is skipped, because a start takes seconds.
package testcluster
