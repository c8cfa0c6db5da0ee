//go:build unix

package top

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyResize sends a signal whenever the terminal's size changes.
func notifyResize(to chan<- os.Signal) { signal.Notify(to, syscall.SIGWINCH) }
