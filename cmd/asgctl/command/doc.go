// Package command is asgctl's command line: flags in, results on stdout, everything else on stderr, and an exit code.
//
// It owns the commands, their flags and their help. It must not import the core, because the CLI shows the autoscaler's
// knowledge of AWS and needs no simulated cluster.
package command
