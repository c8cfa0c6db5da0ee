// Package pricelist shows what instance types cost: how much, where that is known from, and how good the figure is.
//
// It owns the columns and the JSON of this list, and no price. It must not import the core, because the CLI shows the
// autoscaler's knowledge of AWS and needs no simulated cluster.
package pricelist
