// Package prose holds the module's comments and test names to plain English.
//
// It owns the shares of sentences that may break a rule and the longest test name. It is tests alone, and reads every Go file.
package prose
