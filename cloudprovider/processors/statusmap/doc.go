// Package statusmap writes the core's status ConfigMap beside the loops.
//
// The core writes the ConfigMap at the end of each loop, and waits for the API server. In a small cluster this takes longer than all else in
// a loop, and with many groups the text alone takes half of the loop's time. No decision needs the ConfigMap.
//
// The package owns this one ConfigMap. Its content is the core's.
package statusmap
