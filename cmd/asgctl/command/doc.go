// Package command is asgctl's command line: flags in, results on stdout, everything else on stderr, and an exit code.
//
// It owns the commands, their flags and their help. Of the autoscaler it imports flags and process, for the loop of asgctl explain. It
// must not import the core itself, because all other commands show the autoscaler's knowledge of AWS without a simulated cluster.
package command
