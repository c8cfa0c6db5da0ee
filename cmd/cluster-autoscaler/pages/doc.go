// Package pages serves what the autoscaler knows and decided: a status page for an operator with a browser, and the report as JSON.
//
// A Page renders decision.Report, and nothing else, on the server. The page needs no other origin, and works behind a proxy
// that serves it under a prefix. The browser fetches it again every few seconds. Lists and texts
// are bounded, and at most one rendering a second is made, whoever asks. Names and messages are
// untrusted text. A JSON serves the report itself.
//
// Neither makes the core's loop wait. The package starts no goroutine.
package pages
