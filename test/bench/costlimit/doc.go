// Package costlimit limits the cost at which readers of foreign text may read an input.
//
// It serves fuzz targets. Their seeds run in every test, so that an input that once cost too much stays cheap. The package
// owns the measuring of time and memory. It must not be imported outside tests.
package costlimit
