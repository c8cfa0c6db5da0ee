// Package explanation answers why pods wait and why nodes stay, from the autoscaler's report.
//
// It owns the form of these answers, as text and as JSON. All words about a cause are the report's own, so that every view of a decision
// has the same. It must not import the core, because a report has everything.
package explanation
