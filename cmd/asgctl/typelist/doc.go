// Package typelist shows the resources of instance types and the sources of these facts.
//
// It owns the columns and the JSON of this list, and no fact. It must not import the core, because the CLI shows the
// autoscaler's knowledge of AWS and needs no simulated cluster.
package typelist
