// Command fakeaws runs the emulator of AWS by itself, until it is interrupted.
//
//	fakeaws --config FILE [--listen 127.0.0.1:PORT] [--kubeconfig FILE] [--cluster NAME=KUBECONFIG]...
//
// The command owns the flags. Package fakeaws does the work.
package main
