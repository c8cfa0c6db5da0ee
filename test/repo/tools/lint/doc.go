// Command lint is the vet tool with the analyzers of staticcheck and of errcheck. `make lint` has go vet run it, by vet.sh, so that it takes
// over what the go command has compiled, and looks at our own packages alone.
//
// A finding is ignored by a comment on its line that says why:
//
//	holder.Signal(os.Interrupt) //nolint:errcheck // it has ended already
//
// It is a module of its own because govulncheck needs a newer golang.org/x/tools, which refuses the empty files that vet.sh writes in place of
// a dependency's facts.
package main
