// Package compatibility makes docs/compatibility.md from what the repository pins and tests, so that the page claims no more.
//
// It is tests alone. `make docs` renews the page.
package compatibility
