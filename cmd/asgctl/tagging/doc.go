// Package tagging finds the tags that would make a node template explicit, and writes them as commands and configuration
// to paste.
//
// It owns the quoting and is pure. Names, keys and values come from outside and are quoted for whatever they are written
// into. The package must not import the core, because the CLI shows the autoscaler's knowledge of AWS and needs no simulated
// cluster.
package tagging
