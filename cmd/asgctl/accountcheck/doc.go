// Package accountcheck asks a real account for the facts that an emulator cannot confirm.
//
// It owns the read-only calls, one for each permission of the shipped policy that can be tried so, the guards of the one launch,
// and that launch. It terminates no instance but the one that it has launched itself, and only while AWS calls it Pending: such an instance
// is no node yet.
package accountcheck
