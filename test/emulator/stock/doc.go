// Package stock builds the stock autoscaler, to compare ours with it, to replace one by the other, and to have it ask ours as a plugin.
//
// It is the main package of the core's own module, in the version that this module's go.mod requires. Build keeps the program
// in the user's cache. The package knows how the program finds an emulated account, and nothing else about it.
package stock
