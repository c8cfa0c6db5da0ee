// Package licences holds the rule that every module linked into the product has a permitted licence, and that docs/licences.md
// lists them all. Program licences of the module test/repo/tools reads them.
package licences
