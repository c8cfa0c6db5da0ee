// Package loopback finds addresses for the programs that tests start.
package loopback
