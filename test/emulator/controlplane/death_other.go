//go:build unix && !linux

package controlplane

import "syscall"

// childAttributes keep a child out of reach of the terminal's interrupt. The watchdog kills it with its parent.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
