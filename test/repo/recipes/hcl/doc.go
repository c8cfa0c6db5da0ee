// Command hcl reads a configuration in Terraform's language from standard input and writes its blocks, evaluated, as JSON.
//
// It owns the few functions and the dynamic blocks that the recipes use. It knows no provider and must not be built into
// anything: it is a module of its own so that the parser stays out of the main module's dependencies.
package main
