//go:build !unix

package top

import "os"

// notifyResize does nothing: the size is read every second.
func notifyResize(chan<- os.Signal) {}
