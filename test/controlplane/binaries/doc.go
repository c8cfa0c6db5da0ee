// Package binaries pins the programs of the control plane, as tool directives of its go.mod; it holds no code.
//
// The module gives every module that it shares with the product's go.mod the same version, by replacement where
// KWOK asks for a newer one: packages that both need are then compiled once. TestVersionsAreShared keeps it so.
package binaries
