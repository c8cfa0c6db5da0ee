package controlplane

import "syscall"

// childAttributes keep a child out of reach of the terminal's interrupt and let the kernel kill it with its parent.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
