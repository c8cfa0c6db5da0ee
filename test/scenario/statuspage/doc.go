// Package statuspage opens the status page of the real autoscaler in a browser, while it scales a group of an emulated account.
//
// It is tests alone. It owns the account and the pods of its one scenario.
package statuspage
