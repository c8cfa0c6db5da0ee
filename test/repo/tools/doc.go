// Package tools pins the programs and libraries that check the product's security and licences. It is a module of its own, so
// that they stay out of the product's go.mod.
package tools
