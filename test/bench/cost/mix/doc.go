// Package mix describes pods that wait for nodes, and the node groups that could give them some, with their prices.
//
// A Mix comes from a file (Read) or is one of the built-in ones (Seeded). Node groups of instance types in the catalogue
// offer the node that package nodetemplate describes, at the embedded list price. A file may state its own prices.
// The package owns the format of the file and the built-in mixes.
package mix
