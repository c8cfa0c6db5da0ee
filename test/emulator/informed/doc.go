// Package informed starts informers of a fake clientset for tests, so that they miss no change.
//
// The clientset forgets a change between an informer's list and its watch. An API server does not: a watch begins where the list ended.
// The package must not be imported outside tests.
package informed
