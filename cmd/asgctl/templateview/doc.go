// Package templateview shows the node that a group would add, field by field, with the source of each.
//
// It owns the view and no field of the template. It must not import the core, because the CLI shows the autoscaler's
// knowledge of AWS and needs no simulated cluster.
package templateview
