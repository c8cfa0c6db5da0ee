// Package replay sends the calls of a recording of asgctl account --record to the emulator again, and compares the answers.
//
// It owns the emulator's state for such a recording, and the comparison. It must not be imported outside tests.
package replay
