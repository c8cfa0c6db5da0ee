// Package annotations names the annotations and the label that the autoscaler puts on objects of its simulations.
//
// It owns these names and the access to their values. One adapter of the core writes them, another reads them. None is ever
// written to the cluster. The package must import neither the core nor cloudprovider/processors, because adapters of every
// layer leave each other annotations.
package annotations
