// Package document holds generated documents to the code that they are generated from.
//
// It owns the form of their tables, the comparison and the rewriting with -update, and it reads Markdown. It must not be imported outside tests.
package document
