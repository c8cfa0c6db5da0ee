// Command controlplane compiles the programs of a Kubernetes control plane into the user's cache and prints their paths.
//
// It owns nothing. Package controlplane does the work.
package main
