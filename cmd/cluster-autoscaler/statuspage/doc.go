// Package statuspage serves the status page: what the autoscaler knows and decided, for an operator with a browser.
//
// A Handler renders decision.Report, and nothing else, on the server. The page needs no other origin, and works behind a proxy
// that serves it under a prefix. The browser gets a section again when the section has changed, through server-sent events. Lists, texts
// and the number of streams are bounded, and at most one rendering a second is made, whoever asks. Names and messages are
// untrusted text. The package starts no goroutine.
package statuspage
