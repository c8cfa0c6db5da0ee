// Command controlplane runs a Kubernetes control plane on this machine, for trying things out.
//
// It owns the flags and ends the control plane with itself. Package controlplane does the work.
package main
