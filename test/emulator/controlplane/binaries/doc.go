// Package binaries pins the programs of the control plane, as tool directives of its go.mod. It holds no code.
//
// The module gives every module that it shares with the product's go.mod the same version, by replacement where KWOK asks for a
// newer one. So packages that both need are compiled once. TestVersionsAreShared keeps it so.
package binaries
