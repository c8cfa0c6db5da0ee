// Package loopback finds addresses for the programs that tests start, and configures clients of an API server at such an address.
package loopback
