// Package loopback finds addresses for the programs that tests start, tells at which ones a program listens, and configures clients of
// an API server at such an address.
package loopback
