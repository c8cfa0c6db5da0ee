// Package imports holds the rules of who may import whom, each with its reason.
//
// It owns these rules, which are tests alone, and the rule that each package states its promise in doc.go.
package imports
